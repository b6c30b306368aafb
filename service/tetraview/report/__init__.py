"""Findings to DICOM objects: Segmentation and Structured Report."""
