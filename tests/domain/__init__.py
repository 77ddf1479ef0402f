"""The pure core: tables and properties; no mock, fixture or sleep."""
