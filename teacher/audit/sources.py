"""Reads and joins what an audit compares: labels, judgements, a student's scores, items, a log.

A judgement whose judge has seen the pair's label proves nothing and is left out unless asked for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from relevance.domain import Item, Judgement, Target
from relevance.errors import BadInput
from relevance.metrics import head_or_tail
from relevance.records import (
    DataSet,
    Pair,
    find_data_set,
    read_catalogue,
    read_judgements,
    read_pairs,
    read_query_log,
)
from relevance.tables import read_table
from relevance.text import normalise
from teacher.audit.cases import Case
from teacher.held_out_scores import STUDENT_COLUMNS
from teacher.judge_pairs import SEEN, item_of

PairKey = tuple[str, str]  # query, item_id
OUTER = "outer-"  # how `held_out_of` of a fold's test part begins


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The files of one audit; `judge` chooses one where the judgements are of several."""

    data: Path
    judgements: Sequence[Path]
    student_scores: Sequence[Path] = ()
    target: Target = Target.DIRECT
    judge: str | None = None
    with_seen: bool = False


@dataclass(frozen=True, slots=True)
class Joined:
    """Every labelled pair with a usable judgement, in file order, and what was left out."""

    dataset: str
    cases: tuple[Case, ...]
    judge: str
    target: Target
    fingerprints: tuple[str, ...]
    pairs: int
    seen: int

    @property
    def seen_used(self) -> int:
        """Pairs whose judge may have seen their label and that are compared all the same."""
        return sum(case.judgement.held_out_of == SEEN for case in self.cases)

    @property
    def not_judged(self) -> int:
        """Labelled pairs without any judgement of this judge and target."""
        return self.pairs - self.seen - len(self.cases)


def join(sources: Sources) -> Joined:
    """Read everything; raises `BadInput` where nothing is left to compare or files contradict."""
    files = find_data_set(sources.data)
    pairs = [pair for pair in read_pairs(files.pairs) if pair.good is not None]
    if not pairs:
        raise BadInput(f"{files.pairs}: expected at least one pair with a label, found none")
    items = {item.item_id: item for item in read_catalogue(files.items)}
    judged = _judged(sources, {(pair.query, pair.item_id) for pair in pairs})
    logits = _logits(sources.student_scores)
    seen = {k for k, j in judged.items() if j.held_out_of == SEEN and not sources.with_seen}
    heads = _heads(files, pairs, items)
    cases = tuple(
        Case(pair, item_of(items, pair), judged[key], logits.get(key), heads[pair.query])
        for pair in pairs
        if (key := (pair.query, pair.item_id)) in judged and key not in seen
    )
    if not cases:
        hint = "\nhint: --with-seen audits with them all the same" if seen else ""
        raise BadInput(
            f"{files.pairs}: expected a held-out judgement of at least one labelled pair, found "
            f"none ({len(seen):,} judgements had seen the label){hint}"
        )
    return Joined(
        dataset=files.name,
        cases=cases,
        judge=next(iter(judged.values())).judge,
        target=sources.target,
        fingerprints=tuple(sorted({case.judgement.fingerprint for case in cases})),
        pairs=len(pairs),
        seen=len(seen),
    )


def read_known(paths: Sequence[Path]) -> dict[PairKey, bool]:
    """What judgements that are right say of each pair: whether it is Good."""
    known = {}
    for path in paths:
        for judgement in read_judgements(path):
            thought = judgement.chain_of_thought
            good = judgement.log_odds >= 0 if thought is None else thought.label == "Good"
            known[judgement.query, judgement.item_id] = good
    return known


def _judged(sources: Sources, wanted: set[PairKey]) -> dict[PairKey, Judgement]:
    """One judgement a pair: that of an outer fold's judge where several judged it."""
    found: dict[PairKey, Judgement] = {}
    judges: set[str] = set()
    for judgement in chain.from_iterable(map(read_judgements, sources.judgements)):
        key = (judgement.query, judgement.item_id)
        is_asked = sources.judge in (None, judgement.judge)
        if key not in wanted or judgement.target is not sources.target or not is_asked:
            continue
        judges.add(judgement.judge)
        if key not in found or _is_outer(judgement) > _is_outer(found[key]):
            found[key] = judgement
    named = ", ".join(map(str, sources.judgements))
    if not found:
        of = "" if sources.judge is None else f" by `{sources.judge}`"
        raise BadInput(
            f"{named}: expected `{sources.target}` judgements{of} of labelled pairs, found none"
        )
    if len(judges) > 1:
        listed = ", ".join(sorted(judges))
        raise BadInput(f"{named}: expected one judge, got {listed}\nhint: choose one with --judge")
    return found


def _is_outer(judgement: Judgement) -> bool:
    return (judgement.held_out_of or "").startswith(OUTER)


def _logits(paths: Sequence[Path]) -> dict[PairKey, float]:
    """The student's score of each pair that has one; a pair scored twice differently is refused."""
    found: dict[PairKey, float] = {}
    for path in paths:
        for row, record in enumerate(read_table(path, STUDENT_COLUMNS).to_pylist(), start=1):
            logit = record.get("logit")
            if logit is None:
                continue
            key = (normalise(record["query"]), record["item_id"])
            if found.setdefault(key, float(logit)) != float(logit):
                raise BadInput(
                    f"{path}: row {row}: the pair {key} was scored {found[key]} before and {logit} "
                    "here: expected the scores of one student"
                )
    return found


def _heads(files: DataSet, pairs: Sequence[Pair], items: Mapping[str, Item]) -> dict[str, bool]:
    queries = list(dict.fromkeys(pair.query for pair in pairs))
    log = None if files.query_log is None else read_query_log(files.query_log)
    titles = [item.title for item in items.values()]
    return dict(zip(queries, head_or_tail(queries, visitors=log, titles=titles), strict=True))
