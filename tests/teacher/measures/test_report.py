"""The report: every measure that was taken has its table, in points and with its interval."""

import json
from pathlib import Path

import pytest

from teacher.measures.report import write_report

CHANCE = {"mean": 0.024, "deviation": 0.004, "query_spread": 0.61}
INTERVAL = {"value": 0.031, "low": -0.002, "high": 0.06}
AGREEMENT = {"accuracy": 0.868, "kappa": 0.74}
RATER = {"rater": "agent_1_rating", "pairs": 9, "teacher": AGREEMENT, "other_raters": AGREEMENT}
F1 = {"annotated": 12, "f1": 0.25}
BOTH = {"roc_auc": 0.701, "neg_pr_auc": 0.652}
MEASURED = {**BOTH, "within_query_auc": 0.66}
LEADS = {"roc_auc": INTERVAL, "neg_pr_auc": INTERVAL}
SECTIONS: dict[str, tuple[dict[str, object], str]] = {
    "verdicts_alone": (
        {"verdicts": 0.66, "overlap": 0.6, "difference": INTERVAL},
        "| 66.0 | 60.0 | +3.1 [-0.2, +6.0] |",
    ),
    "judged": (
        {"judgements": 2000, "good": 0.5, "unexplained": 0.273, "overruled": 0.1},
        "2,000, Good 50.0 %, unexplained 27.3 % of Bad",
    ),
    "faithfulness": (
        {
            "pairs": 1500,
            "moved_by_evidence": 0.8,
            "moved_by_random": 0.3,
            "difference": INTERVAL,
            "of_label": {"Bad": [700, 0.75]},
        },
        "| 1,500 | 80.0 | 30.0 | +3.1 [-0.2, +6.0] |",
    ),
    "counterfactuals": (
        {"cases": 5, "pass_rates": {"teacher": {"typo": [5, 0.8]}, "student": {"typo": [5, 0.4]}}},
        "| typo | 5 | 80.0 | 40.0 |",
    ),
    "ablation": (
        {
            "everything": {"measures": [0.72, 0.65, 0.67]},
            "aspects": {"measures": [0.71, 0.655, 0.67], "differences": LEADS},
        },
        "| aspects | +3.1 [-0.2, +6.0] | +3.1 [-0.2, +6.0] | +0.0 |",
    ),
    "extraction": ({"ours": {"all": F1}, "exact dictionary": {"all": F1}}, "| all | 12 | 25.0 |"),
    "raters": ({"own": [RATER]}, "| agent_1_rating | 9 | 86.8 / 0.74 | 86.8 / 0.74 |"),
    "transfer": (
        {
            "chorus": {
                "pairs": 3668,
                "share_bad": 0.57,
                "roc_auc": 0.8,
                "neg_pr_auc": 0.81,
                "within_query_auc": 0.7,
                "calibration_error": 0.1,
                "overlap_roc_auc": 0.79,
                "overlap_neg_pr_auc": 0.78,
            }
        },
        "| chorus | 3,668 | 57.0 | 80.0 | 81.0 | 70.0 | 10.0 | 79.0 / 78.0 |",
    ),
    "throughput": ({"pairs": 100, "first": 250.0, "again": 2500.0}, "2,500 with their readings"),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_measure_that_was_taken_has_its_table(name: str, tmp_path: Path) -> None:
    content, expected = SECTIONS[name]
    found = {"data": "shop", "folds": [0, 1], name: content}

    write_report(tmp_path, found)

    said = (tmp_path / "measures.md").read_text()
    assert "Data set shop, test parts of folds 0, 1." in said
    assert expected in said
    assert said.count("**") == 2
    assert json.loads((tmp_path / "measures.json").read_text()) == found


def test_rankings_show_the_teacher_by_fold_every_judge_and_every_slice(tmp_path: Path) -> None:
    judges = {
        "catalogue teacher": {"mean": MEASURED, "pooled": BOTH},
        "BM25": {"mean": MEASURED, "pooled": BOTH, "teacher_minus_it": LEADS},
    }
    found = {
        "teacher": {n: {**MEASURED, "calibration_error": 0.05} for n in ("0", "1")},
        "calibration_error_pooled": 0.026,
        "calibration_error_by_chance": CHANCE,
        "judges": judges,
        "left_out": 1234,
        "slices": {
            "negation": {"pairs": 1500, "share_bad": 0.4, "judges": dict.fromkeys(judges, BOTH)}
        },
    }

    write_report(tmp_path, {"data": "shop", "folds": [0, 1], "ranking": found})

    said = (tmp_path / "measures.md").read_text()
    for expected in (
        "| 1 | 70.1 | 65.2 | 66.0 | 5.0 |",
        "| mean | 70.1 | 65.2 | 66.0 | 5.0 |",
        "all folds together: 2.6",
        "| catalogue teacher | 70.1 | 65.2 | 66.0 | 70.1 / 65.2 |  |  |",
        "| BM25 | 70.1 | 65.2 | 66.0 | 70.1 / 65.2 | +3.1 [-0.2, +6.0] | +3.1 [-0.2, +6.0] |",
        "1,234 pairs that some judge has no score of",
        "| pairs, Bad | 1,500, 40.0 % |",
        "| BM25 | 70.1 / 65.2 |",
    ):
        assert expected in said
