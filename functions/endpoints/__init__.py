"""The endpoints, one module each, and what they promise."""
