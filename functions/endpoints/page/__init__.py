"""The page of the deployment: the connections that an API key may see, and what it may do."""
