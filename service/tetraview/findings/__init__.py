"""The detector's tensors to findings: pure functions."""
