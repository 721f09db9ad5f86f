"""What configs say of their cost on GPUs is what was measured."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.cost import CONFIGS, LINE, line, rewritten


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_header_says_what_was_measured(config: Path) -> None:
    [said] = LINE.findall(config.read_text())
    price = float(said.rpartition("at $")[2].split()[0]) if "at $" in said else 0.0
    assert said == line(config, price)


def test_line_of_measurements(tmp_path: Path) -> None:
    [config] = [path for path in CONFIGS if path.stem == "cifar10_resnet18"]
    measured = {"measured": {"gpu": ["A GPU"]}}

    def write(name: str, content: dict) -> None:
        (tmp_path / f"{name}.json").write_text(json.dumps(content | measured))

    write("gpu", {"experiments": {"cifar10_resnet18": {"fit_images_per_s": 10_000.0}}})
    # 45,000 images in each of 200 epochs are 900 s.
    assert line(config, 4.0, tmp_path) == (
        "# On GPUs: A GPU: 10,000 images/s, 0.25 h ($1) on 1, 8 not measured, at $4 an hour each"
    )
    write("memory", {"experiments": {"cifar10_resnet18": {"fit_mb": 2345}}})
    write("scaling", {"efficiency_on_8": 0.5})
    text = line(config, 4.0, tmp_path)
    assert text == (
        "# On GPUs: A GPU: 2.3 GB, 10,000 images/s, 0.25 h ($1) on 1, 0.062 h ($2) on 8, at $4 an hour each"
    )
    old = config.read_text()
    new = rewritten(old, text)
    assert [a for a, b in zip(old.splitlines(), new.splitlines(), strict=True) if a != b] == LINE.findall(old)
    assert rewritten("# a\n#\n# b\nmodel: 1\n", text) == f"# a\n#\n# b\n{text}\nmodel: 1\n"
    (tmp_path / "gpu.json").write_text(json.dumps({"measured": {"gpu": None}, "experiments": {"cifar10_resnet18": {}}}))
    assert line(config, 4.0, tmp_path).endswith("not measured")  # a trial on the CPU says nothing of GPUs
