"""`doctor`: what is wrong with a deployment, in one line each, and what to do about it."""
