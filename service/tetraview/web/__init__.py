"""The HTTP edge: health, metrics and the pages for people."""
