"""Where numbers go: metrics.csv, Weights & Biases, and what the user adds."""
