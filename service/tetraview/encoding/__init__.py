"""DICOM as bytes: files (PS3.10) and data sets (PS3.5), which the whole service sees as this room does."""
