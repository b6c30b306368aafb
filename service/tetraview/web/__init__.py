"""The HTTP edge: health, metrics and the exam page."""
