"""A PyTorch Lightning research template for image classification."""
