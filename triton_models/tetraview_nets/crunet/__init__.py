"""Outlines of masses from small squares of tissue: a residual U-Net with a conditional random field (CRU-Net)."""
