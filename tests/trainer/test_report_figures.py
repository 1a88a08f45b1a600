"""The report's figures: areas that agree with the measures, colours of the page."""

import re

import numpy as np
import pytest

from tests.trainer.make_report import Example
from trainer.fold_scores import read_fold
from trainer.report_figures import _precision_on_grid, _roc_on_grid, mean_curve


def test_figures_follow_the_colour_scheme_and_have_a_text(page: str) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)

    assert all('role="img" aria-label="' in drawing for drawing in drawings)
    assert not re.search(r"#[0-9a-f]{6}\b", "".join(drawings))


def test_the_area_under_an_averaged_curve_is_the_mean_of_the_areas(example: Example) -> None:
    titles = {f"I{at}": "" for at in range(25)}
    folds = [read_fold(folder, titles) for folder in example.folders]
    model = example.measures["models"]["mkd"]

    roc = mean_curve(folds, "mkd", _roc_on_grid)
    precision = mean_curve(folds, "mkd", _precision_on_grid)

    assert roc is not None
    assert precision is not None
    assert np.trapezoid(roc, np.linspace(0, 1, 201)) == pytest.approx(model["roc_auc"], abs=0.01)
    assert precision.mean() == pytest.approx(model["neg_pr_auc"], abs=0.01)
