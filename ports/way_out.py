"""The way out to other servers, as the environment's variables have it."""


class WayOutError(OSError):
    """A variable for proxies or certificates keeps requests from being sent; it is named."""
