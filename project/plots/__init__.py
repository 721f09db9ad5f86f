"""Figures, as pure functions of numbers and images."""

from project.plots.calibration import reliability_diagram
from project.plots.figure import BLUE, GREY, ORANGE, PALE_BLUE, PALE_ORANGE, new_figure, save
from project.plots.heatmap import overlaid
from project.plots.images import evenly_spaced, image_grid, top5_grid
from project.plots.layers import feature_maps, filters
from project.plots.metrics import confusion_matrix, histories, history
from project.plots.scores import label_scores, predicted_against_true

__all__ = [
    "BLUE",
    "GREY",
    "ORANGE",
    "PALE_BLUE",
    "PALE_ORANGE",
    "confusion_matrix",
    "evenly_spaced",
    "feature_maps",
    "filters",
    "histories",
    "history",
    "image_grid",
    "label_scores",
    "new_figure",
    "overlaid",
    "predicted_against_true",
    "reliability_diagram",
    "save",
    "top5_grid",
]
