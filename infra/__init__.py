"""The environments that the application runs in, and the checks of this tree."""
