"""Builders, servers and ledgers that tests of several rooms share."""
