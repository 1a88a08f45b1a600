"""`summary.json`: the demo's figures by stable names, for people and programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from relevance.demo.steps import StepRun


def summarise(
    measures: Mapping[str, Any],
    live: Mapping[str, Any],
    runs: Sequence[StepRun],
    searches: Mapping[str, Any],
) -> dict[str, Any]:
    """Metrics are fractions of 1; times are in the unit their key ends with.

    `searches` names every run a student was chosen from, by step; empty where none was searched.
    """
    models, differences = measures["models"], measures["differences"]
    gain = differences["mkd_minus_ce"]
    return {
        "dataset": measures["dataset"],
        "folds": measures["folds"],
        "counts": measures["counts"],
        "teacher_roc_auc": models["teacher"]["roc_auc"],
        "teacher_neg_pr_auc": models["teacher"]["neg_pr_auc"],
        "ce_student_roc_auc": models["ce"]["roc_auc"],
        "ce_student_neg_pr_auc": models["ce"]["neg_pr_auc"],
        "student_roc_auc": models["mkd"]["roc_auc"],
        "student_neg_pr_auc": models["mkd"]["neg_pr_auc"],
        "token_overlap_roc_auc": models["overlap"]["roc_auc"],
        "delta_roc_auc": gain["roc_auc"],
        "delta_neg_pr_auc": gain["neg_pr_auc"],
        "teacher_minus_ce": differences["teacher_minus_ce"],
        "parity": live["parity"],
        "bundle": live["bundle"],
        "generation": live["generation"],
        "score_100_ms": live["score_100_ms"],
        "score_1000_ms": live["score_1000_ms"],
        "step_seconds": {run.name: run.seconds for run in runs},
        "steps_reused": [run.name for run in runs if run.reused],
        "searches": dict(searches),
    }
