"""Outline and malignancy of a mass in one pass: what surrounds it and how it is shaped (DualCoreNet)."""
