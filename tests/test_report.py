"""`report`: one HTML file."""

import csv
import json
import re
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from project.cli.main import main
from project.run.folder import Run

pytestmark = pytest.mark.needs("report")


class Page(HTMLParser):
    """What a browser would load, and the text that it would show."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster", "action"):
                self.sources.append(value or "")
            if name == "href":
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
        if tag == "img":
            assert dict(attrs)["alt"]

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data.strip())


def test_report_of_one_run(run_copy: Run) -> None:
    main(["report", str(run_copy.folder)])
    path = run_copy.folder / "report.html"
    assert path.stat().st_size < 3_000_000
    page = Page(path)
    assert all(source.startswith("data:image/webp;base64,") for source in page.sources)
    assert len(page.sources) >= 4
    assert all(link.startswith(("data:,", "#")) for link in page.links)
    assert not {"script", "iframe", "object", "embed"} & set(page.tags)
    assert "url(" not in path.read_text()
    with run_copy.sample_predictions("val").open() as file:
        rows = list(csv.DictReader(file))
    for name in "0123456789":
        hits = [row["true"] == row["predicted"] for row in rows if row["true_name"] == name]
        at = page.texts.index(name, page.texts.index("taken for"))
        assert page.texts[at + 1 : at + 3] == [str(len(hits)), f"{sum(hits) / len(hits):.4f}"]
    assert run_copy.config.read_text().strip() in page.texts
    assert "Comparison" not in page.texts


def test_report_of_several_runs_escapes_and_leaves_out(
    run_copy: Run, finished: Run, tmp_path: Path
) -> None:
    hostile = Run(run_copy.folder.rename(run_copy.folder.with_name("<script>alert(1)<")))
    rows = re.sub(r"\b3,3(?=,)", "3,<b onload=x>", hostile.sample_predictions("val").read_text())
    hostile.sample_predictions("val").write_text(rows)
    main(["report", str(finished.folder), str(hostile.folder), f"--output={tmp_path}/new/r.html"])
    page = Page(tmp_path / "new" / "r.html")
    assert "script" not in page.tags
    assert {"digits/<script>alert(1)<", "<b onload=x>"} <= set(page.texts)
    assert {link for link in page.links if link != "data:,"} == {"#run-1", "#run-2"}
    assert {"run-1", "run-2", "comparison"} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    for path in (hostile.sample_predictions("val"), hostile.environment, hostile.metrics):
        path.unlink()
    for path in hostile.figures.iterdir():
        path.unlink()
    main(["report", str(hostile.folder)])
    bare = Page(hostile.folder / "report.html")
    assert "img" not in bare.tags
    assert "Environment" not in bare.texts


def test_report_names_the_test_between_two_groups(finished: Run, tmp_path: Path) -> None:
    folders = []
    for group in range(2):
        for seed in range(2):
            folder = tmp_path / "copies" / "digits" / f"{finished.id}-{group}-{seed}"
            run = Run(
                Path(
                    shutil.copytree(
                        finished.folder, folder, ignore=shutil.ignore_patterns("figures")
                    )
                )
            )
            config = run.config.read_text().replace(
                "seed_everything: 0", f"seed_everything: {seed}"
            )
            run.config.write_text(config.replace("max_epochs: 2", f"max_epochs: {2 + group}"))
            header, *rows = run.sample_predictions("val").read_text().splitlines()
            wrong = [
                re.sub(r"^(\d+,\d+,\d+),\d+", r"\1,-1", row)
                for row in rows[: 20 * group + 5 * seed]
            ]
            run.sample_predictions("val").write_text(
                "\n".join([header, *wrong, *rows[len(wrong) :], ""])
            )
            folders.append(str(folder))
    for given, name in (
        (folders, "Obuchowski-Rockette test, p = "),
        (folders[::2], "McNemar's exact test, p = "),
    ):
        main(["report", *given, f"--output={tmp_path}/r.html"])
        assert len([text for text in Page(tmp_path / "r.html").texts if name in text]) == 1
    main(["report", *folders[1:], f"--output={tmp_path}/r.html"])
    assert any("shows no spread over seeds" in text for text in Page(tmp_path / "r.html").texts)


def test_evaluations_on_the_test_set_are_listed(run_copy: Run) -> None:
    entry = {
        "time": "2026-01-01T00:00:00+00:00",
        "checkpoint": "x",
        "split": "test",
        "test/acc": 0.5,
        "commit": None,
    }
    run_copy.tests.write_text(json.dumps(entry) + "\n" + json.dumps(entry) + "\n")
    main(["report", str(run_copy.folder)])
    assert "Evaluations on the test set: 2" in Page(run_copy.folder / "report.html").texts


def test_what_cannot_be_reported(run_copy: Run, fails: Callable[..., str], tmp_path: Path) -> None:
    assert "nowhere does not exist" in fails("report", str(tmp_path / "nowhere"))
    assert "unrecognized" in fails("report", str(run_copy.folder), "--ouput=x")


def test_picture_joins_the_main_figures(run_copy: Run, fails: Callable[..., str]) -> None:
    words = ["report", str(run_copy.folder), "--picture=pictures/run.png"]
    main(words)
    with Image.open("pictures/run.png") as picture:
        assert picture.width >= 1000
        assert 0.3 < picture.height / picture.width < 1
    assert "cannot write /proc/none/x.png" in fails(*words[:2], "--picture=/proc/none/x.png")
    history = run_copy.figures / "history.png"
    history.write_bytes(history.read_bytes()[:500])
    assert "cannot read the figure" in fails(*words)
    history.unlink()
    assert "has no figure history.png" in fails(*words)
