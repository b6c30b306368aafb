"""Outlines of masses in patches: v19U-Net++, and a U-Net with the same encoder."""
