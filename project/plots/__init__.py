"""Figures, as pure functions of numbers and images."""

from project.plots.backprop import gradient_norms
from project.plots.batches import drawn_batches
from project.plots.boundary import boundary, fitted_curve
from project.plots.calibration import reliability_diagram
from project.plots.convolution import convolution, pooling
from project.plots.descent import descent, descents
from project.plots.figure import BLUE, GREY, ORANGE, PALE_BLUE, PALE_ORANGE, new_figure, save
from project.plots.film import save_film
from project.plots.heatmap import overlaid
from project.plots.images import evenly_spaced, image_grid, top5_grid
from project.plots.layers import feature_maps, filters
from project.plots.metrics import confusion_matrix, histories, history
from project.plots.neuron import neuron
from project.plots.scores import label_scores, predicted_against_true

__all__ = [
    "BLUE",
    "GREY",
    "ORANGE",
    "PALE_BLUE",
    "PALE_ORANGE",
    "boundary",
    "confusion_matrix",
    "convolution",
    "descent",
    "descents",
    "drawn_batches",
    "evenly_spaced",
    "feature_maps",
    "filters",
    "fitted_curve",
    "gradient_norms",
    "histories",
    "history",
    "image_grid",
    "label_scores",
    "neuron",
    "new_figure",
    "overlaid",
    "pooling",
    "predicted_against_true",
    "reliability_diagram",
    "save",
    "save_film",
    "top5_grid",
]
