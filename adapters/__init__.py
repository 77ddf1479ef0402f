"""Translations between the ports and real technology, one file each: `<port>_<technology>`."""
