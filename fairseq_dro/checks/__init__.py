"""Findings about data, options and checkpoints: training raises the first, the doctor lists all."""
