"""Receiving by DICOMweb: STOW-RS."""
