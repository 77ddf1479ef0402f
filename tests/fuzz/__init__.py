"""Input that nobody meant, in numbers, for everything that reads what comes from outside."""
