"""Logs without identifiers, and Prometheus metrics."""
