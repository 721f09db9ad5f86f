"""What changes a batch of training images, with randomness of its own for each sample."""
