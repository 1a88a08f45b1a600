"""What the audit's commands leave for each other: pairs for people, and results as JSON.

The pairs' file is blind: neither variant, score nor stratum stands in it, and its order says
nothing.
"""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from relevance.atomic import replacing_file, write_text
from relevance.errors import BadInput
from relevance.experiments.assignment import place
from relevance.experiments.audit_sample import Drawn
from relevance.records import read_pairs

FORMAT = "relevance-experiment/1"


def write_pairs_to_judge(path: Path, drawn: Sequence[Drawn], titles: Mapping[str, str]) -> int:
    """Write each distinct pair once, with an empty `good`, as CSV; returns how many there are."""
    pairs = {(one.query, one.item_id): one.segment.value for one in drawn}
    shuffled = sorted(pairs, key=lambda pair: place("\0".join(pair), salt="order"))
    with replacing_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(("query", "item_id", "title", "good", "subset"))
        for query, item_id in shuffled:
            row = (query, item_id, titles.get(item_id, ""), "", pairs[query, item_id])
            writer.writerow(row)
    return len(pairs)


def read_judged(path: Path) -> dict[tuple[str, str], bool]:
    """The pairs people have judged; those without a label are left out."""
    pairs = {(p.query, p.item_id): p.good for p in read_pairs(path)}
    judged = {pair: good for pair, good in pairs.items() if good is not None}
    if not judged:
        raise BadInput(f"{path}: expected at least one pair with `good` 0 or 1, got none")
    return judged


def write_result(path: Path, kind: str, result: object) -> None:
    """Write a result as JSON; what has no number is null."""
    assert is_dataclass(result)
    assert not isinstance(result, type)
    content = {"format": FORMAT, "kind": kind, **_plain(asdict(result))}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_result(path: Path, kind: str) -> dict[str, Any] | None:
    """Read a result back as JSON; None where there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (json.JSONDecodeError, UnicodeDecodeError) as fault:
        raise BadInput(f"{path}: expected JSON: {fault}") from fault
    found = (content.get("format"), content.get("kind")) if isinstance(content, dict) else None
    if found != (FORMAT, kind):
        raise BadInput(f"{path}: expected {FORMAT} of the kind {kind}, got {found}")
    return dict(content)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
