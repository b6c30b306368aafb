"""The common parts of the models of Triton's Python backend: requests in, networks read, answers out."""
