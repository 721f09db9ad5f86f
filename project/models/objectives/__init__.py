"""What a network's outputs are trained for. Importing a class here registers it for the CLI."""

from project.models.objectives.classification import Classification
from project.models.objectives.multi_label import MultiLabel
from project.models.objectives.objective import Objective
from project.models.objectives.regression import Regression

__all__ = ["Classification", "MultiLabel", "Objective", "Regression"]
