"""The claims of MommiNet-v2's paper, measured on the phantom benchmark: one module a study, one table for all."""
