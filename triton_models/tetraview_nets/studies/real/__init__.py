"""The benchmark on real mammograms: every system beside what costs nothing, and beside the floor that learns."""
