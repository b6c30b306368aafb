"""Malignancy and suspicion level of a patch: DenseNet-121 with two heads (MommiNet-v2)."""
