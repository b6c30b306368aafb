"""The networks of tetraview: one paper, one file; training, evaluation and weights."""
