"""The application on AWS Lambda: a handler of HTTP events, and one of the schedule."""
