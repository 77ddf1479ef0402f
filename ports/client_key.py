"""The error for a client's private key that cannot be used."""


class ClientKeyError(ValueError):
    """The private key cannot sign. The message names its variable, and has nothing of the key."""
