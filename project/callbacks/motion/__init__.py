"""Pictures in motion of what happens in a training, for teaching; each is named in a config."""

from project.callbacks.motion.backprop import Backprop
from project.callbacks.motion.batches import Batches
from project.callbacks.motion.boundary import Boundary
from project.callbacks.motion.convolution import Convolution
from project.callbacks.motion.descent import Descent
from project.callbacks.motion.neuron import Neuron

__all__ = ["Backprop", "Batches", "Boundary", "Convolution", "Descent", "Neuron"]
