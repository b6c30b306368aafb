"""How images come in: the C-STORE listener, the spool of durable bytes and the one way to accept an instance."""
