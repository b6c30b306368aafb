"""From stored images to findings: decode, ask Triton, pick candidates."""
