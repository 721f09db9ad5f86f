"""Pictures of names of any kind."""

from pathlib import Path

import pytest
import torch
from matplotlib.mathtext import MathTextParser

from project import plots

pytestmark = pytest.mark.draws


def test_long_titles_are_drawn_whole() -> None:
    maps = {"layer1": torch.rand(8, 4, 4), "layer2": torch.rand(8, 2, 2)}
    figures = [
        plots.feature_maps(torch.rand(1, 8, 8), maps, "a-long+run " * 20),
        plots.filters(torch.rand(4, 1, 3, 3), "a_long_run" * 10),
    ]
    for figure in figures:
        figure.draw_without_rendering()
        assert figure._suptitle is not None
        title = figure._suptitle.get_window_extent()
        assert title.x0 >= 0
        assert title.x1 <= figure.bbox.width
    labels = [text for axes in figures[0].axes for text in axes.texts]
    assert len(labels) == 2
    for label in labels:  # in the middle of its row
        row, text = label.axes.get_window_extent(), label.get_window_extent()
        assert row.y0 + row.y1 == pytest.approx(text.y0 + text.y1, abs=4)
        assert text.x1 < row.x0


def test_only_numbers_on_axes_are_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    formulas, parse = [], MathTextParser.parse

    def noted(self: MathTextParser, text: str, *args: object, **options: object) -> object:
        formulas.append(text)
        return parse(self, text, *args, **options)

    monkeypatch.setattr(MathTextParser, "parse", noted)
    names = ["$a$", "b\n\udce9", "c" * 300]
    plots.save(plots.confusion_matrix(torch.eye(3), names, "$title$ \udce9"), Path("matrix.png"))
    x, p = torch.rand(3, 1, 8, 8), torch.eye(3)
    plots.save(plots.top5_grid(x, p, None, names, names, "$title$"), Path("top5.png"))
    plots.save(plots.image_grid(x, names, "$title$"), Path("grid.png"))
    plots.save(
        plots.feature_maps(x[0], {"$layer$": torch.rand(2, 4, 4)}, "$title$"), Path("maps.png")
    )
    assert not formulas
    rows = [{"step": str(i), "epoch": str(i), "val/loss": f"{10.0**-i}"} for i in range(4)]
    plots.save(plots.histories({"$a$": [rows], "$b_$": [rows]}), Path("histories.png"))
    assert formulas
    assert all("mathdefault" in formula for formula in formulas)
