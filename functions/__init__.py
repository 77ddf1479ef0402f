"""The application: what happens on a request, and what it is wired from."""
