"""Connections to other machines: TLS, HTTP, storage commitment."""
