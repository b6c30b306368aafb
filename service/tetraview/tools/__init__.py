"""Commands that are no part of the service's way of an exam."""
