from relevance.demo.steps import StepRun
from relevance.demo.summary import summarise


def test_the_summary_names_what_was_reused_and_how_long_each_step_took() -> None:
    judge = {"roc_auc": 0.8, "neg_pr_auc": 0.7}
    gain = {"roc_auc": {"value": 0.1, "low": 0.05, "high": 0.15}, "neg_pr_auc": {}}
    measures = {
        "dataset": "shop",
        "folds": ["fold0"],
        "counts": {"test_pairs": 3},
        "models": dict.fromkeys(("teacher", "ce", "mkd", "overlap"), judge),
        "differences": {"mkd_minus_ce": gain, "teacher_minus_ce": gain},
    }
    live = {
        "parity": {"maxima_differing": 0.0},
        "bundle": "b",
        "generation": "g",
        "score_100_ms": 1.0,
        "score_1000_ms": 2.0,
    }
    runs = [StepRun("pool", 3.0, reused=True), StepRun("fold0-ce", 9.0, reused=False)]

    searches = {"fold0-ce": [{"run": "rate-0.0001", "chosen": True}]}

    found = summarise(measures, live, runs, searches)

    assert found["delta_roc_auc"] == {"value": 0.1, "low": 0.05, "high": 0.15}
    assert found["step_seconds"] == {"pool": 3.0, "fold0-ce": 9.0}
    assert found["steps_reused"] == ["pool"]
    assert found["searches"] == searches
