"""DICOM as bytes: files (PS3.10) and data sets (PS3.5). What this room sees in a file, the whole service sees."""
