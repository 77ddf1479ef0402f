"""Mutation testing of the domain: does a test notice each small fault? `make mutate` tells."""
