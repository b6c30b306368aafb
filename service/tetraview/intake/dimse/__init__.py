"""Receiving by DIMSE: associations, C-STORE, storage commitment."""
