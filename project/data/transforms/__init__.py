"""Transforms of batches of training images, with random parameters for each sample."""
