"""The report: every measure that was taken has its table, in points and with its interval."""

import json
from pathlib import Path

import pytest

from teacher.measures.report import write_report

INTERVAL = {"value": 0.031, "low": -0.002, "high": 0.06}
AGREEMENT = {"accuracy": 0.868, "kappa": 0.74}
RATER = {"rater": "agent_1_rating", "pairs": 9, "teacher": AGREEMENT, "other_raters": AGREEMENT}
F1 = {"annotated": 12, "f1": 0.25}
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
        {"everything": [0.72, 0.65, 0.67], "aspects": [0.71, 0.655, 0.67]},
        "| aspects | -1.0 | +0.5 | +0.0 |",
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
