"""`doctor`: checks a deployment, and reports each finding in one line with what to do."""
