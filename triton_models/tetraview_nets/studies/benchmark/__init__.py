"""Limits of the phantom benchmark: the most that it can show, and the cues that it must not give away."""
