"""Wrong exported files are not kept, and what cannot be exported is refused."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from project.cli.main import main
from project.commands.export.classifier import Classifier
from project.run.folder import Run
from tests.exports import FORMATS

pytestmark = pytest.mark.needs("export")
Fails = Callable[..., str]


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.9, float("nan")])
@pytest.mark.parametrize("name", FORMATS)
def test_a_wrong_file_is_not_kept(
    name: str, factor: float, run_copy: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Classifier.forward
    monkeypatch.setattr(Classifier, "forward", lambda self, images: forward(self, images) * factor)
    path = run_copy.folder / "export" / FORMATS[name]
    path.parent.mkdir()
    path.write_text("of before")
    with pytest.raises(
        RuntimeError, match=r"differ from the checkpoint's by up to .*: it was not kept"
    ):
        main(["export", "--run", str(run_copy.folder), "--format", name])
    assert list(path.parent.iterdir()) == [path]
    assert path.read_text() == "of before"


def test_what_cannot_be_used(
    run_copy: Run, fails: Fails, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    export = ["export", "--run", str(run_copy.folder)]
    (tmp_path / "file").touch()
    said = fails(*export, "--output", str(tmp_path / "file" / "model.onnx"))
    assert "cannot write" in said
    assert "give another file as --output" in said
    assert "it is a folder" in fails(*export, "--output", str(tmp_path))
    assert "nowhere.png does not exist" in fails(*export, "--images", "nowhere.png")
    assert "of another model" in fails(*export, "--model.hidden=[3]")
    assert "there is no checkpoint file" in fails(*export, "--checkpoint", "nowhere.ckpt")
    run_copy.checkpoint("best").write_bytes(run_copy.checkpoint("best").read_bytes()[:1000])
    assert "cannot read the checkpoint" in fails(*export)
    # Found before anything is read.
    assert "there is no --format tflite: give onnx or torch_export" in fails(
        *export, "--format", "tflite"
    )
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    assert "--format onnx needs onnxscript: pip install" in fails(*export)
    assert not (run_copy.folder / "export").exists()
