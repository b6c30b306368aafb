"""DICOM pixels to the canonical frame and back."""
