"""Loggers: metrics.csv, Weights & Biases, and those that the user adds."""
