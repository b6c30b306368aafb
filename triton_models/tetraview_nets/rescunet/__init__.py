"""Outline and class of a mass from one map: ResCU-Net with mixed supervision and a modified Otsu threshold."""
