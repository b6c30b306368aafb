"""Which images make an exam, and when it is ready to be read."""
