"""Temperature scaling: T, the calibration error, and the probabilities of everything that predicts."""

import csv
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from scipy.optimize import minimize_scalar
from torchmetrics.functional.classification import multiclass_calibration_error

from project import load
from project.cli.main import main
from project.models.objectives.temperature import BINS, calibration_error, fit_temperature
from project.run.checkpoint_io import read_checkpoint
from project.run.folder import Run
from tests.conftest import QUIET

pytestmark = pytest.mark.needs("calibrate")


def labelled(n: int, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Outputs whose softmax is the distribution of their classes."""
    generator = torch.Generator().manual_seed(0)
    outputs = 2 * torch.randn(n, k, generator=generator)
    return outputs, outputs.softmax(1).multinomial(1, generator=generator)[:, 0]


def test_doubled_outputs_have_a_temperature_of_two() -> None:
    outputs, y = labelled(100_000, 10)
    assert fit_temperature(outputs, y) == pytest.approx(1, rel=0.01)
    assert fit_temperature(2 * outputs, y) == pytest.approx(2, rel=0.01)
    few, y = outputs[:300], y[:300]
    assert fit_temperature(2 * few, y) == pytest.approx(2 * fit_temperature(few, y), rel=1e-5)
    for scale in (1e-3, 1.0, 1e3):
        scaled, middle = scale * few.double(), np.log(scale)

        def loss(log_t: float, scaled: torch.Tensor = scaled) -> float:
            return float(F.cross_entropy(scaled / np.exp(log_t), y))

        truth = minimize_scalar(loss, bounds=(middle - 3, middle + 3), method="bounded")
        assert np.log(fit_temperature(scaled, y)) == pytest.approx(truth.x, abs=1e-4)


def test_no_temperature() -> None:
    outputs, y = labelled(50, 3)
    with pytest.raises(ValueError, match="all 50 validation samples are right"):
        fit_temperature(outputs, outputs.argmax(1))
    with pytest.raises(ValueError, match="no better than guessing"):
        fit_temperature(-outputs, y)


def test_calibration_error() -> None:
    outputs, y = labelled(1000, 4)
    for scale in (0.5, 1, 3):
        probabilities = (scale * outputs).softmax(1)
        confidence, predicted = probabilities.max(1)
        truth = multiclass_calibration_error(probabilities, y, 4, n_bins=15, norm="l1")
        found = calibration_error(confidence, predicted == y)
        assert BINS == 15
        assert found == pytest.approx(float(truth), abs=1e-6)


def test_the_temperature_goes_wherever_probabilities_are(
    run_copy: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    path, run = run_copy.checkpoint("best"), str(run_copy.folder)
    before = read_checkpoint(path)
    main(["calibrate", "--run", run, *QUIET])
    said = capsys.readouterr().out
    once = read_checkpoint(path)["objective"]["temperature"]
    assert f"{once:.4f}, kept in best.ckpt" in said
    assert (run_copy.figures / "reliability_val.png").exists()

    # A head whose outputs are doubled, which training would have to have made.
    doubled = {**before["state_dict"]}
    for name in list(doubled)[-2:]:
        doubled[name] = 2 * doubled[name]
    torch.save({**before, "state_dict": doubled}, path)
    main(["calibrate", "--run", run, *QUIET])
    content = read_checkpoint(path)
    twice = content["objective"]["temperature"]
    assert twice == pytest.approx(2 * once, rel=1e-3)
    assert all(torch.equal(content["state_dict"][name], doubled[name]) for name in doubled)

    loaded = load(run)
    assert loaded.model.objective.temperature == twice
    image = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(image).save("image.png")
    x = loaded.data.to_input(torch.from_numpy(image.copy())[None, None], torch.zeros(1).long())[0]
    with torch.no_grad():
        truth = (loaded.model(x) / twice).softmax(1)[0]
    [prediction] = loaded.predict(image)
    assert np.allclose(prediction.values, truth, atol=1e-6)
    main(["predict", "--run", run, "--images", "image.png", *QUIET])
    with run_copy.predictions.open(newline="") as file:
        [row] = csv.DictReader(file)
    assert float(row["probability1"]) == pytest.approx(float(truth.max()), abs=1e-5)


@pytest.mark.slow
def test_the_temperature_is_in_tests_until_training_goes_on(run_copy: Run) -> None:
    path, run, twice = run_copy.checkpoint("best"), str(run_copy.folder), 3.0
    torch.save({**read_checkpoint(path), "objective": {"temperature": twice}}, path)
    loaded = load(run)
    main(["test", "--run", run, *QUIET])
    with run_copy.sample_predictions("test").open(newline="") as file:
        rows = list(csv.DictReader(file))
    loaded.data.setup("test")
    images = loaded.data.test_set.x
    x = loaded.data.to_input(images, torch.zeros(len(images)))[0]
    with torch.no_grad():
        confidence = (loaded.model(x) / twice).softmax(1).amax(1)
    assert np.allclose([float(row["confidence"]) for row in rows], confidence, atol=1e-5)
    assert (run_copy.figures / "reliability_test.png").exists()

    # Training on changes the weights, and so forgets the temperature.
    main(["fit", "--run", run, "--trainer.max_epochs=3", *QUIET])
    assert "objective" not in read_checkpoint(run_copy.checkpoint("last"))


@pytest.mark.needs("export")
@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "torch_export"])
def test_exported_files_have_the_temperature(name: str, run_copy: Run) -> None:
    from tests.exports import FORMATS, compute

    path = run_copy.checkpoint("best")
    content = read_checkpoint(path)
    torch.save({**content, "objective": {"temperature": 3.0}}, path)
    main(["export", "--run", str(run_copy.folder), "--format", name])
    loaded = load(run_copy.folder)
    images = loaded.data.load(train=False).x[:7]
    with torch.no_grad():
        truth = (loaded.model(loaded.data.to_input(images, torch.zeros(7))[0]) / 3).softmax(1)
    found = compute(run_copy.folder / "export" / FORMATS[name], images, [7])
    assert torch.allclose(found, truth, atol=1e-5)


def test_what_cannot_be_calibrated(fails: Callable[..., str], fit: Callable) -> None:
    run = fit("--model=tests.tasks.Autoencoder", "--data=Digits", "--trainer.max_epochs=1").run
    said = fails("calibrate", "--run", str(run.folder), *QUIET)
    assert "needs a run with --objective Classification" in said
    assert "calibrate needs --run" in fails("calibrate")
