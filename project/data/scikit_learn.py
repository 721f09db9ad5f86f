"""Small tables that come with scikit-learn, without a download."""

from itertools import product

import torch

from project.data.features import Features
from project.data.sampler import TensorImages
from project.data.splits import stratified_split

MEASURES = (
    *("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity"),
    *("concave points", "symmetry", "fractal dimension"),
)
FORMS = ("mean {}", "{} error", "worst {}")


class ScikitLearn(Features):
    """Base of scikit-learn's tables.

    There is no official split; a fixed fifth is the test set, with the classes in proportion.
    """

    function: str  # that of sklearn.datasets which loads it
    options: dict[str, bool] = {}  # noqa: RUF012

    def load(self, train: bool) -> TensorImages:
        from sklearn import datasets

        x, y = getattr(datasets, self.function)(return_X_y=True, **self.options)
        x, y = torch.from_numpy(x).float(), torch.from_numpy(y)
        y = y.float() if y.is_floating_point() else y.long()
        indices = stratified_split(y, size=0.2, seed=0)[0 if train else 1]
        return TensorImages(x[indices], y[indices])


class Iris(ScikitLearn):
    """150 irises of three species by the size of their leaves (Fisher, 1936)."""

    function = "load_iris"
    num_classes, input_shape = 3, (4,)
    class_names = ("setosa", "versicolor", "virginica")
    feature_names = ("sepal length", "sepal width", "petal length", "petal width")


class BreastCancer(ScikitLearn):
    """569 breast tumours, malignant or benign, by measures of cell nuclei (Street et al., 1993)."""

    function = "load_breast_cancer"
    num_classes, input_shape = 2, (30,)
    class_names = ("malignant", "benign")
    feature_names = tuple(form.format(m) for form, m in product(FORMS, MEASURES))


class Diabetes(ScikitLearn):
    """442 patients: how their diabetes progressed within a year, 25 to 346 (Efron et al., 2004)."""

    function = "load_diabetes"
    options = {"scaled": False}  # noqa: RUF012
    num_classes, input_shape = 1, (10,)
    class_names = ("progression",)
    feature_names = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
