"""The report's figures as inline SVG whose colours are the page's CSS variables.

Drawn with matplotlib's object-oriented interface and no global state, so the same input gives the
same bytes; no text from a data set is drawn. Measures are `relevance.metrics`'.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from relevance.metrics import ReliabilityBin, precision_recall_of_bad, roc_curve
from relevance.plot_style import BLUE, GREEN, GREY, GRID, INK, MUTED, ORANGE, svg_style
from trainer.fold_scores import FoldScores
from trainer.report_numbers import (
    COMPARED,
    COMPARISONS,
    JUDGES,
    comparison_name,
    percent,
    points,
)

GOOD, BAD = "#0f766f", "#b4331c"
JUDGE_COLORS = {"overlap": GREY, "ce": ORANGE, "mkd": BLUE, "teacher": GREEN}
VARIABLES = {  # colour of the light scheme → CSS variable, so that a figure follows the scheme
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    GOOD: "--good",
    BAD: "--bad",
    **{color: f"--judge-{name}" for name, color in JUDGE_COLORS.items()},
}
LINES = {"overlap": ":", "ce": "--", "mkd": "-", "teacher": "-."}  # colour is never alone
STYLE = svg_style("report", font_size=9, paper="none")  # in the page's font and colours
WIDTH, HEIGHT = 4.6, 4.1  # inches: one column of the page, legible on a phone
GRID_POINTS = np.linspace(0, 1, 201)
BINS = 20


def roc_figure(folds: Sequence[FoldScores], models: Mapping[str, Any]) -> Markup | None:
    """ROC curves of Good, averaged over folds at equal false positive rates; None if undefined."""
    curves = {judge.key: mean_curve(folds, judge.key, _roc_on_grid) for judge in JUDGES}
    return _curves_figure("roc", curves, {k: m["roc_auc"] for k, m in models.items()}, chance=None)


def precision_recall_figure(
    folds: Sequence[FoldScores], models: Mapping[str, Any], *, share_bad: float
) -> Markup | None:
    """Precision of Bad at each recall, averaged over folds; None if undefined."""
    curves = {judge.key: mean_curve(folds, judge.key, _precision_on_grid) for judge in JUDGES}
    areas = {key: model["neg_pr_auc"] for key, model in models.items()}
    return _curves_figure("precision-recall", curves, areas, chance=share_bad)


def mean_curve(folds: Sequence[FoldScores], name: str, on_grid: Any) -> np.ndarray | None:
    """Mean over the folds that have both labels, so the area is the mean of the folds' areas."""
    usable = [fold for fold in folds if fold.good.any() and not fold.good.all()]
    if not usable:
        return None
    return np.mean([on_grid(fold.good, fold.logits[name]) for fold in usable], axis=0)


def _roc_on_grid(good: np.ndarray, scores: np.ndarray) -> np.ndarray:
    false_positive, true_positive = roc_curve(good, scores)
    return np.interp(GRID_POINTS, false_positive, true_positive)


def _precision_on_grid(good: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The step function that encloses `neg_pr_auc`: precision where this recall is reached."""
    recall, precision = precision_recall_of_bad(good, scores)
    at = np.searchsorted(recall, GRID_POINTS[1:], side="left")
    return precision[np.minimum(at, len(precision) - 1)]


def _curves_figure(
    key: str,
    curves: Mapping[str, np.ndarray | None],
    areas: Mapping[str, float],
    *,
    chance: float | None,
) -> Markup | None:
    drawn = {name: curve for name, curve in curves.items() if curve is not None}
    if not drawn:
        return None
    recall = chance is not None
    labels = {judge.key: f"{judge.name} {percent(areas[judge.key])}" for judge in JUDGES}
    with rc_context(STYLE):
        figure, axes = _axes(HEIGHT)
        across, floor = ([0, 1], [chance, chance]) if recall else ([0, 1], [0, 1])
        known = f"Chance {percent(chance)}" if recall else f"Chance {percent(0.5)}"
        for name, curve in drawn.items():
            axes.plot(
                GRID_POINTS[1:] if recall else np.concatenate([[0], GRID_POINTS]),
                curve if recall else np.concatenate([[0], curve]),
                LINES[name],
                color=JUDGE_COLORS[name],
                linewidth=2.4 if name == "mkd" else 1.7,
                label=labels[name],
            )
        axes.plot(across, floor, color=MUTED, linewidth=0.9, label=known)
        axes.set(xlim=(0, 1), ylim=(0, 1.01))
        axes.set_xlabel("Recall of Bad" if recall else "False positive rate (Bad passed as Good)")
        axes.set_ylabel("Precision of Bad" if recall else "True positive rate (Good kept)")
        figure.legend(loc="outside lower center", ncols=2, fontsize=8.5)
        said = "Precision and recall of Bad" if recall else "ROC curves"
        return _inline(figure, key, f"{said}. Area: {'; '.join(labels[name] for name in drawn)}.")


def difference_figure(differences: Mapping[str, Any], measure: str) -> Markup:
    """Each comparison's difference with its interval, in points, around 0."""
    with rc_context(STYLE):
        figure, axes = _axes(2.1)
        axes.axvline(0, color=INK, linewidth=1)
        names = [comparison_name(key) for key in COMPARISONS]
        for row, key in enumerate(COMPARISONS):
            interval = differences[key][measure]
            value, low, high = (
                100 * float("nan" if interval[end] is None else interval[end])
                for end in ("value", "low", "high")
            )
            color = JUDGE_COLORS[COMPARISONS[key][0]]
            axes.plot([low, high], [row, row], color=color, linewidth=2.5)
            axes.plot([value], [row], "o", color=color, markersize=7)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.margins(x=0.12)
        axes.set_xlabel(f"{COMPARED[measure]} difference, points")
        said = "; ".join(
            f"{name} {points(differences[key][measure]['value'])}"
            for name, key in zip(names, COMPARISONS, strict=True)
        )
        return _inline(figure, f"difference-{measure}", f"{COMPARED[measure]}, points: {said}.")


def reliability_figure(bins: Sequence[ReliabilityBin], error: float) -> Markup:
    """Share of Good against mean score of each bin; on the diagonal a score means what it says."""
    with rc_context(STYLE):
        figure, axes = _axes(HEIGHT)
        axes.plot([0, 1], [0, 1], "--", color=MUTED, linewidth=1, label="perfectly calibrated")
        axes.plot(
            [found.mean_probability for found in bins],
            [found.share_good for found in bins],
            "o-",
            color=JUDGE_COLORS["mkd"],
            linewidth=1.6,
            markersize=5,
            label=f"served scores, {len(bins)} bins",
        )
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Mean served score", ylabel="Share of Good")
        figure.legend(loc="outside lower center", ncols=2, fontsize=8.5)
        said = f"Reliability of served scores in {len(bins)} bins; calibration error"
        return _inline(figure, "reliability", f"{said} {percent(error)}.")


def histogram_figure(good: np.ndarray, scores: np.ndarray, *, threshold: float | None) -> Markup:
    """How many Good and Bad pairs were served each score."""
    edges = np.linspace(0, 1, BINS + 1)
    counts = {label: np.histogram(scores[good == label], edges)[0] for label in (True, False)}
    with rc_context(STYLE):
        figure, axes = _axes(HEIGHT)
        named = f"labelled Good ({int(good.sum()):,})", f"labelled Bad ({int((~good).sum()):,})"
        axes.stairs(counts[True], edges, fill=True, color=GOOD, alpha=0.35, label=named[0])
        axes.stairs(counts[False], edges, color=BAD, linewidth=2, label=named[1])
        if threshold is not None:
            axes.axvline(
                threshold,
                color=INK,
                linestyle=":",
                linewidth=1.4,
                label=f"threshold {threshold:.3f}",
            )
        axes.set(xlim=(0, 1), xlabel="Served score", ylabel="Pairs")
        axes.set_ylim(bottom=0)
        figure.legend(loc="outside lower center", ncols=2, fontsize=8.5)
        said = f"Histogram of served scores: {named[0]}, {named[1]}"
        return _inline(figure, "histogram", f"{said}.")


def _axes(height: float) -> tuple[Any, Any]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.add_subplot()


def _inline(figure: Any, key: str, label: str) -> Markup:
    """The figure as an `<svg>` element: ids of its own, the page's colours and font, no address."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for pattern, replacement in (
        (r"<metadata>.*?</metadata>", ""),
        (r"<style.*?</style>", ""),
        (r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', ""),
        (r'\bid="', f'id="{key}-'),
        (r"url\(#", f"url(#{key}-"),
        (r'xlink:href="#', f'href="#{key}-'),
        (r"'DejaVu Sans'[^;\"]*", "system-ui, sans-serif"),
        (r'<svg[^>]*?(viewBox="[^"]*")[^>]*>', r"<svg \1>"),
    ):
        text = re.sub(pattern, replacement, text, flags=re.DOTALL)
    for color, variable in VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    head = Markup('<svg role="img" aria-label="{}" ').format(label)
    return head + Markup(text.removeprefix("<svg "))  # matplotlib's own markup, no foreign text
