"""What runs the application on AWS: its table, and what a function of Lambda is made of."""
