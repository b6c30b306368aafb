"""MommiNet-v2: the detector that reads all views of an exam together."""
