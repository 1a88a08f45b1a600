"""The report's words for what distillation changed: pairs righted and broken, mismatches caught.

Nothing is measured here; `evaluate.py` did that.
"""

from collections.abc import Mapping
from typing import Any

from trainer.report_numbers import SPACE, View, decimals, percent

KINDS = {"righted": "righted", "broken": "broken"}
FEWEST_MISMATCHES = 10  # pairs; an aspect with fewer says nothing


def changes_view(measures: Mapping[str, Any]) -> View:
    """Counts, cases of both kinds, agreement with the teacher and recall by aspect."""
    flips = measures["flips"]
    return {
        "righted": f"{flips['wrong_to_right']:,}",
        "broken": f"{flips['right_to_wrong']:,}",
        "net": f"{flips['wrong_to_right'] - flips['right_to_wrong']:+,}".replace("-", "−"),
        "both_wrong": f"{flips['both_wrong']:,}",
        "cases": [_case(kind, case) for kind in KINDS for case in flips[kind]],
        "agreement": {
            name: f"{percent(found['alike'])} (kappa{SPACE}{decimals(found['kappa'])})"
            for name, found in measures["agreement"].items()
        },
        "aspects": [
            {
                "name": row["aspect"].replace("_", " "),
                "pairs": f"{row['pairs']:,}",
                "cells": [percent(row[name]) for name in ("ce", "mkd", "teacher")],
            }
            for row in measures["mismatch_recall"]
            if row["pairs"] >= FEWEST_MISMATCHES
        ],
    }


def _case(kind: str, case: Mapping[str, Any]) -> View:
    return {
        "kind": KINDS[kind],
        "query": case["query"],
        "title": case["title"],
        "label": "Good" if case["good"] else "Bad",
        "ce": decimals(case["ce"]),
        "mkd": decimals(case["mkd"]),
    }
