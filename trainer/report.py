"""The report of a demo run: one self-contained HTML page, no request to any host.

Every figure comes from `evaluate.compare`, from the folds' files or from what the running service
answered. Wording is `report_numbers.py`'s, drawing `report_figures.py`'s, layout the template's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from relevance.errors import BadInput
from relevance.metrics import calibration_error, reliability, roc_auc
from relevance.records import DataSet, read_catalogue
from trainer.evaluate import SMALLEST_SLICE
from trainer.fold_scores import FoldScores, read_fold
from trainer.report_changes import changes_view
from trainer.report_figures import (
    difference_figure,
    histogram_figure,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
)
from trainer.report_numbers import (
    COMPARED,
    JUDGES,
    MEASURES,
    SPACE,
    View,
    decimals,
    difference_rows,
    fold_rows,
    gap_sentences,
    judge_rows,
    percent,
    slice_rows,
)
from trainer.report_pairs import pair_view

TEMPLATE = "report.html.j2"
PARITY_WORDS = {
    "encoder_max_difference": "Largest difference of an embedding value, torch against ONNX",
    "maxima_differing": "Integer maxima that differ from NumPy's",
    "similarity_max_difference": "Largest difference of a similarity, integer against float",
    "similarity_mean_difference": "Mean difference of a similarity, integer against float",
    "pairs": "Pairs compared",
}


def render_report(
    *,
    measures: dict[str, Any],
    data: DataSet,
    folders: Sequence[Path],
    live: dict[str, Any],
) -> str:
    """The page as HTML; the same input gives the same bytes.

    `measures` is what `evaluate.compare` returned for `data` and `folders`, `live` what the
    demo wrote while the service ran. Raises `BadInput` where they contradict each other.
    """
    titles = {item.item_id: item.title for item in read_catalogue(data.items)}
    folds = [read_fold(folder, titles) for folder in folders]
    _check_same_folds(measures, folds)
    return _template().render(
        running=_running(live),
        pairs=[pair_view(entry, number) for number, entry in enumerate(live["explained"], 1)],
        **_headline(measures, data),
        **_curves(measures, folds),
        served=_served(measures, live),
        slices=slice_rows(measures["slices"]),
        changes=changes_view(measures),
        smallest_slice=SMALLEST_SLICE,
        judges=JUDGES,
        compared=COMPARED,
    )


def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(TEMPLATE)


def _check_same_folds(measures: Mapping[str, Any], folds: Sequence[FoldScores]) -> None:
    found = [fold.fold for fold in folds]
    if found != measures["folds"]:
        raise BadInput(
            f"report: expected the folders of {', '.join(measures['folds'])}, "
            f"got {', '.join(found)}"
        )


def _headline(measures: Mapping[str, Any], data: DataSet) -> View:
    counts, folds = measures["counts"], measures["folds"]
    differences = measures["differences"]
    return {
        "dataset": measures["dataset"],
        "folds": folds,
        "averaged": f"the mean over {len(folds)} folds' test parts"
        if len(folds) > 1
        else f"those of the test part of {folds[0]}",
        "test_queries": f"{counts['test_queries']:,}",
        "test_pairs": f"{counts['test_pairs']:,}",
        "share_bad": percent(counts["share_bad"]),
        "shop": _sample_shop(data.pairs),
        "columns": MEASURES,
        "judge_rows": judge_rows(measures["models"], MEASURES),
        "differences": difference_rows(differences),
        "gaps": gap_sentences(differences),
        "difference_figures": [
            (name, difference_figure(differences, key)) for key, name in COMPARED.items()
        ],
        "fold_rows": fold_rows(measures["per_fold"]),
    }


def _sample_shop(pairs: Path) -> View | None:
    """What a generated shop says of itself in its pairs file; None for any other data set."""
    if pairs.suffix != ".parquet":
        return None
    metadata = pq.read_schema(pairs).metadata or {}
    if b"sample_shop" not in metadata:
        return None
    noise = metadata.get(b"label_noise")
    return {"label_noise": None if noise is None else percent(float(noise))}


def _curves(measures: Mapping[str, Any], folds: Sequence[FoldScores]) -> View:
    models, share_bad = measures["models"], measures["counts"]["share_bad"]
    return {
        "roc": roc_figure(folds, models),
        "precision_recall": precision_recall_figure(folds, models, share_bad=share_bad),
    }


def _served(measures: Mapping[str, Any], live: Mapping[str, Any]) -> View:
    """Measures and figures of the scores the service really gave."""
    rows = [row for row in live["served"] if row["score"] is not None and row["good"] is not None]
    good = np.array([bool(row["good"]) for row in rows], dtype=bool)
    scores = np.array([float(row["score"]) for row in rows])
    bins, error = reliability(good, scores), calibration_error(good, scores)
    fold = live["served_fold"]
    offline = measures["per_fold"].get(fold, {}).get("mkd", {})
    thresholds = (entry.get("threshold") for entry in live["explained"])
    threshold = next((known for known in thresholds if known is not None), None)
    return {
        "fold": fold,
        "pairs": f"{len(rows):,}",
        "left_out": len(live["served"]) - len(rows),
        "roc_auc": percent(roc_auc(good, scores)),
        "calibration_error": percent(error),
        "offline_roc_auc": percent(offline.get("roc_auc")),
        "offline_calibration_error": percent(offline.get("calibration_error")),
        "reliability": reliability_figure(bins, error) if bins else None,
        "histogram": histogram_figure(good, scores, threshold=threshold) if bins else None,
        "bins": [
            {
                "score": decimals(found.mean_probability),
                "good": percent(found.share_good),
                "count": f"{found.count:,}",
            }
            for found in bins
        ],
    }


def _running(live: Mapping[str, Any]) -> View:
    """The bundle, its parity, how long requests took and how long each step took."""
    longest = max((step["seconds"] for step in live["steps"]), default=0) or 1
    return {
        "bundle": live["bundle"],
        "generation": live["generation"],
        "parity": [
            (PARITY_WORDS.get(name, name.replace("_", " ")), f"{value:.3g}")
            for name, value in live["parity"].items()
        ],
        "latencies": [
            (count, f"{live[f'score_{count}_ms']:.1f}{SPACE}ms") for count in (100, 1000)
        ],
        "steps": [
            {
                **step,
                "seconds": f"{step['seconds']:,.1f}",
                "size": f"{100 * step['seconds'] / longest:.1f}%",
            }
            for step in live["steps"]
        ],
        "total": f"{sum(step['seconds'] for step in live['steps']):,.0f}",
        "reused": sum(bool(step["reused"]) for step in live["steps"]),
    }
