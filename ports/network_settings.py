"""The error for proxy and certificate variables that cannot be used."""


class NetworkSettingsError(OSError):
    """A proxy or certificate variable prevents all requests. The message names it."""
