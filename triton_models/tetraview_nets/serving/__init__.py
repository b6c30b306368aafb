"""What the models of Triton's Python backend share: requests in, networks read, answers out."""
