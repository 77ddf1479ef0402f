"""The documents, executed and compared with the code."""
