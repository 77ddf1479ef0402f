"""Mutation testing of the domain: `make mutate` shows whether a test notices each small fault."""
