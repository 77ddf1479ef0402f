"""What the documents say, executed and compared with the code."""
