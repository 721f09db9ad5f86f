"""configs/with/*.yaml, over the digits' config, and what they turn on."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from project.cli.arguments import DEFAULT_CONFIG
from project.cli.main import main
from project.run.checkpoint_io import read_checkpoint
from tests.conftest import QUIET, slow_but

OVERLAYS = {path.stem: path for path in (DEFAULT_CONFIG.parent / "with").glob("*.yaml")}


@pytest.mark.parametrize("name", slow_but(["ema", "debug"], sorted(OVERLAYS.keys() - {"gpu"})))
def test_overlay_trains(name: str, fit: Callable) -> None:
    epochs = [] if name in ("debug", "profiler") else ["--trainer.max_epochs=1"]
    cli = fit("--config", str(DEFAULT_CONFIG), "--config", str(OVERLAYS[name]), *epochs)
    trainer, data = cli.trainer, cli.datamodule
    turned_on = {
        "ema": any(type(callback).__name__ == "EMA" for callback in trainer.callbacks),
        "lpft": any(type(c).__name__ == "GradualUnfreezing" for c in trainer.callbacks),
        "mixup": type(data.mix).__name__ == "Mixup",
        "mixup_cutmix": type(data.mix).__name__ == "MixupCutMix",
        "cutmix": type(data.mix).__name__ == "CutMix",
        "debug": trainer.fast_dev_run == 1 and trainer.global_step == 1,
        "profiler": type(trainer.profiler).__name__ == "SimpleProfiler",
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
    torch.use_deterministic_algorithms(False)
    assert turned_on[name]
    assert (cli.run.checkpoint("best").exists()) == (name != "debug")


def test_gpu_overlay_is_for_gpus(fails: Callable[..., str]) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    args = ["fit", *QUIET, "--config", str(DEFAULT_CONFIG), "--config", str(OVERLAYS["gpu"])]
    assert "No supported gpu backend found" in fails(*args)


@pytest.mark.slow
def test_averaged_weights_are_those_of_a_loop(fit: Callable, tmp_path: Path) -> None:
    """Lightning's callback starts with the weights after the first step, as torch's AveragedModel does."""
    args = ["--config", str(DEFAULT_CONFIG), "--config", str(OVERLAYS["ema"]), "--model.dropout=0"]
    decay = [f"--trainer.callbacks.{key}" for key in ("decay=0.5",)]
    seen: list[dict[str, torch.Tensor]] = []
    from project.models import MLP

    class Watched(MLP):
        def on_before_zero_grad(self, optimizer: torch.optim.Optimizer) -> None:
            seen.append({name: p.detach().clone() for name, p in self.named_parameters()})

    args += [*decay, "--trainer.max_epochs=1", f"--model={__name__}.Watched"]
    globals()["Watched"] = Watched
    Watched.__module__, Watched.__qualname__ = __name__, "Watched"
    cli = fit(*args)
    after = [*seen[1:], {name: p.detach() for name, p in cli.model.named_parameters()}]
    saved = read_checkpoint(cli.run.checkpoint("last"))
    current = saved["current_model_state"]
    expected = {name: value.double() for name, value in after[0].items()}
    for t, weights in enumerate([*after[1:-1], current], 1):
        decay = min(0.5, (1 + t) / (10 + t))
        for name in expected:
            expected[name] = decay * expected[name] + (1 - decay) * weights[name].double()
    for name, value in expected.items():
        assert torch.allclose(saved["state_dict"][name].double(), value, atol=1e-5), name
        assert not torch.equal(saved["state_dict"][name], current[name])


@pytest.mark.slow
def test_averaged_weights_are_tested_and_gone_on_with(fit: Callable) -> None:
    args = [
        "--config",
        str(DEFAULT_CONFIG),
        "--config",
        str(OVERLAYS["ema"]),
        "--trainer.callbacks.decay=0.9",
    ]
    args += ["--model.dropout=0"]
    half = fit(*args, "--trainer.max_epochs=2", "--experiment=half", "--lr_schedule=Constant")
    whole = fit(*args, "--trainer.max_epochs=4", "--experiment=whole", "--lr_schedule=Constant")
    half = fit("--run", str(half.run.folder), "--trainer.max_epochs=4")
    first, second = (read_checkpoint(cli.run.checkpoint("last")) for cli in (whole, half))
    for key in ("state_dict", "current_model_state"):
        assert all(torch.equal(first[key][name], second[key][name]) for name in first[key])
    validated = main(["validate", "--run", str(whole.run.folder), *QUIET])
    assert validated is not None
    assert validated.result["val/loss"] == pytest.approx(whole.result["val/loss"], abs=1e-6)


@pytest.mark.slow
def test_flip_tta_is_the_mean_of_both_logits(fit: Callable) -> None:
    cli = fit("--model=MLP", "--data=Digits", "--model.flip_tta=true", "--trainer.max_epochs=1")
    x = torch.rand(5, 1, 8, 8)
    model = cli.model.eval()
    with torch.no_grad():
        expected = (
            torch.stack([model(image[None])[0] + model(image.flip(2)[None])[0] for image in x]) / 2
        )
        assert torch.allclose(model.eval_outputs(x), expected, atol=1e-5)
        assert torch.allclose(
            model.predict_step((x, torch.arange(5)), 0), expected.softmax(1), atol=1e-5
        )
