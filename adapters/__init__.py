"""Translations between the ports and real technology: `<port>_<technology>.py`, and their parts."""
