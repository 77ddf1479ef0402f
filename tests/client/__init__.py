"""The client, mostly against its fake keeper over HTTP. `tests/system` has a real one."""
