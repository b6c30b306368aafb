"""The durable workflow of an exam and its steps."""
