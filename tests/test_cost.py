"""What configs say of their cost on GPUs and of their first steps is what was measured."""

import json
from pathlib import Path

import pytest

from tests.benchmarks import loss_curve
from tests.benchmarks.cost import CONFIGS, LINE, line, rewritten


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_header_says_what_was_measured(config: Path) -> None:
    [said] = LINE.findall(config.read_text())
    price = float(said.rpartition("at $")[2].split()[0]) if "at $" in said else 0.0
    assert said == line(config, price)


@pytest.mark.parametrize("config", loss_curve.CONFIGS, ids=lambda path: path.stem)
def test_header_says_how_the_loss_fell(config: Path) -> None:
    assert loss_curve.line(config) in config.read_text().splitlines()


def test_line_of_measurements(tmp_path: Path) -> None:
    [config] = [path for path in CONFIGS if path.stem == "cifar10_resnet18"]
    about = {"batch": 128, "side": 32, "compiled": True}
    unmeasured = "# On GPUs: memory, images/s, hours and cost not measured"

    def write(
        name: str, gpu: str | None = "A GPU", stem: str = "cifar10_resnet18", **found: object
    ) -> None:
        content = {
            "experiments": {stem: about | found},
            "measured": {"gpu": [gpu] if gpu else None},
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(content))

    write("gpu", fit_images_per_s=10_000.0)
    # 45,000 images in each of 200 epochs are 900 s.
    start = "# On GPUs: A GPU: --model.compile true, "
    assert line(config, 4.0, tmp_path) == (
        f"{start}random images, 10,000 images/s, 0.25 h ($1) on 1, 8 not measured, at $4 an hour each"
    )
    write("gpu", fit_images_per_s=10_000.0, real_images_per_s=5_000.0)
    write("memory", fit_mb=2345)
    write("scaling", efficiency_on_8=0.5)
    text = line(config, 40.0, tmp_path)
    assert text == (
        f"{start}2.3 GB, 5,000 images/s, 0.5 h ($20) on 1, 0.12 h ($40) on 8, at $40 an hour each"
    )  # fmt: skip
    write("scaling", stem="imagenet_resnet50", efficiency_on_8=0.9)  # of another
    assert "8 not measured" in line(config, 4.0, tmp_path)
    old = config.read_text()
    new = rewritten(old, text)
    assert [
        a for a, b in zip(old.splitlines(), new.splitlines(), strict=True) if a != b
    ] == LINE.findall(old)
    assert rewritten("# a\n#\n# b\nmodel: 1\n", text) == f"# a\n#\n# b\n{text}\nmodel: 1\n"
    write("gpu", fit_images_per_s=10_000.0, batch=64)  # a trial
    assert line(config, 4.0, tmp_path) == unmeasured
    write("gpu", gpu=None, fit_images_per_s=10.0)
    assert line(config, 4.0, tmp_path) == unmeasured
