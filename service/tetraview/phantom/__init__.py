"""Synthetic screening exams with ground truth."""
