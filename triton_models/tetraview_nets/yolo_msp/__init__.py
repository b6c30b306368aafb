"""The detector that looks at five scales: YOLOv3 with multi-scale prediction (Yan and others, BBE 2021)."""
