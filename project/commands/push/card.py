"""The model card: what was trained, how, how well, and how to load it."""

import re
from pathlib import Path
from typing import Any

import torch

from project.analysis.origin import PACKAGES, command, commit
from project.analysis.run_result import RunResult
from project.models import Architecture, Classification
from project.run.folder import Run
from project.run.hub import PREFIX, WEIGHTS, import_hub

TEMPLATE = Path(__file__).parent / "card.md.jinja"


def model_card(
    run: Run, checkpoint: Path, model: Architecture, metadata: dict[str, Any], repository: str
) -> str:
    """The text of the README.md of a repository on the Hub.

    Args:
        run: The run.
        checkpoint: The file that the weights come from.
        model: With its weights.
        metadata: See `metadata_of`, with mean, standard deviation and temperature.
        repository: Its name, user/name.
    """
    from jinja2 import StrictUndefined, Template

    result = RunResult(run)
    val, test = metrics_of(result, checkpoint, metadata["step"])
    names = dict.fromkeys([*val, *test])
    values = {
        "resize": None,
        **metadata,
        "name": repository.rpartition("/")[2],
        "repository": repository,
        "weights": WEIGHTS,
        "network": type(model).__name__,
        "data": result.config["data"].rpartition(".")[2],
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "epochs": result.epochs,
        "seconds": result.seconds,
        "origin": origin(result),
        "scores": [(name, shown(val.get(name)), shown(test.get(name))) for name in names],
        "tests": [test for test in result.test_log if test.get("complete", True)],
        "torchvision": torchvision_call(model),
    }
    values["header"] = header(model, values, test.get("acc"), result)
    template = Template(TEMPLATE.read_text(encoding="utf-8"), undefined=StrictUndefined)
    return template.render(values) + "\n"


def metrics_of(
    result: RunResult, checkpoint: Path, step: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Validation and test metrics of these weights, and of no other step or file, by name."""
    best = result.environment.get("best") or {}
    val = best if best.get("step") == step else {}
    tests = [t for t in result.test_log if t.get("complete", True) and t["step"] == step]
    tests = [t for t in tests if Path(t["checkpoint"]).name == checkpoint.name]
    splits = (("val/", val), ("test/", tests[-1] if tests else {}))
    val, test = (
        {k.removeprefix(prefix): float(v) for k, v in split.items() if k.startswith(prefix)}
        for prefix, split in splits
    )
    return val, test


def shown(value: float | None) -> str:
    """A metric; empty if there is none."""
    return "" if value is None else f"{value:.4f}"


def origin(result: RunResult) -> dict[str, str]:
    """Where the run was trained, by which command, code and packages; without folders' names."""
    if not result.environments:
        return {}
    environment = result.environments[0]
    words = re.sub(r"(?<=[\s=])/\S*/", "", command(environment))
    return {
        "device": environment["device"][0],
        "command": f"`{words}`",
        "code": f"commit {commit(environment)}",
        "versions": ", ".join(f"{name} {environment['packages'][name]}" for name in PACKAGES),
    }


def header(
    model: Architecture, values: dict[str, Any], accuracy: float | None, result: RunResult
) -> str:
    """The metadata that the Hub reads, as YAML."""
    hub, data = import_hub(), values["data"]
    task = "image-classification" if isinstance(model.objective, Classification) else None
    results = None
    if task and accuracy is not None:
        scored = hub.EvalResult(
            task, data.lower(), data, "accuracy", accuracy, dataset_split="test"
        )
        results = [scored]
    start = result.config.get("model.weights") or ""
    base = start.removeprefix(PREFIX).partition("@")[0] if start.startswith(PREFIX) else None
    return hub.ModelCardData(
        library_name="pytorch",
        pipeline_tag=task,
        tags=["pytorch-lightning", values["network"].lower()],
        base_model=base,
        model_name=values["name"],
        eval_results=results,
    ).to_yaml()


def torchvision_call(model: Architecture) -> str:
    """The call that makes torchvision's network with the same outputs; empty if there is none."""
    if not (name := model.torchvision_name):
        return ""
    from torchvision.models import get_model

    options = {"num_classes": model.num_classes, **getattr(model, "options", {})}
    x = torch.randn(2, *model.input_shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        try:
            network = get_model(name, **options)
            network.load_state_dict(model.published_state())
            same = network.eval()(x).allclose(model(x), rtol=1e-4, atol=1e-5)
        except (AssertionError, RuntimeError, ValueError):  # it is of other images
            return ""
    arguments = "".join(f", {key}={value!r}" for key, value in options.items())
    return f'get_model("{name}"{arguments})' if same else ""
