"""What is particular to one adapter, against the real thing behind it."""
