"""What the application needs of the outside: Protocols, and the exceptions they may raise."""
