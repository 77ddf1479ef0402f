"""Token files for programs that read one: their contents, their replacement, their renewal."""
