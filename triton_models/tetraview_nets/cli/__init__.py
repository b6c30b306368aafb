"""The command line of the networks: one module a command or a paper."""
