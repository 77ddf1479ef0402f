"""Fixtures of the adapters' tests."""

from tests.ports.conftest import anyio_backend, no_proxy, processes, trusted

__all__ = ["anyio_backend", "no_proxy", "processes", "trusted"]
