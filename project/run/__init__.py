"""A run: its folder, its checkpoints, and the processes that train it."""
