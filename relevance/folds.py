"""Folds by query, shared by teacher, student, gate and study; and what must stay out of training.

Spelling variants of a query stay together, subsets are balanced, and nothing depends on the order
of rows. How variants are recognised stands in `variants.py`; no model is fitted here.
"""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic import replacing_file
from relevance.errors import BadInput
from relevance.records import Pair
from relevance.tables import Columns, read_table
from relevance.variants import VariantIndex, group_variants

FORMAT = "relevance-folds/1"
LEFT_OUT = frozenset({"fragment_485"})  # ESCI rows that are all Good
VALIDATION_SHARE = 0.15


@dataclass(frozen=True, slots=True, order=True)
class AssignedQuery:
    """A query, the variants' group it belongs to, its fold, and its group's largest subset."""

    query: str
    group: str
    fold: int
    subset: str


@dataclass(frozen=True)
class FoldAssignment:
    """Which fold every query is tested in; pairs of `left_out_subsets` are in no fold."""

    folds: int
    left_out_subsets: frozenset[str]
    queries: tuple[AssignedQuery, ...]

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise BadInput(f"folds: expected at least 2, got {self.folds}")
        if list(self.queries) != sorted(self.queries) or len(self._assigned) != len(self.queries):
            raise BadInput("folds: expected distinct queries in sorted order")
        if any(not 0 <= q.fold < self.folds for q in self.queries):
            raise BadInput(f"folds: expected numbers from 0 to {self.folds - 1}")

    @cached_property
    def hash(self) -> str:
        """Sixteen hex digits of SHA-256 over the whole content: equal folds have equal hashes."""
        rows = [[q.query, q.group, q.fold, q.subset] for q in self.queries]
        content = json.dumps([FORMAT, self.folds, sorted(self.left_out_subsets), rows])
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def fold_of(self, pair: Pair) -> int | None:
        """The fold `pair` is tested in; None where its subset is left out.

        Raises `BadInput` for a query this assignment does not know.
        """
        return None if pair.subset in self.left_out_subsets else self.assigned(pair.query).fold

    def assigned(self, query: str) -> AssignedQuery:
        """A query's place; raises `BadInput` where the assignment was made for other data."""
        if query not in self._assigned:
            raise BadInput(
                f"folds {self.hash}: the query {query!r} has no fold\n"
                "hint: `ellm data folds` makes the folds of a data set"
            )
        return self._assigned[query]

    @cached_property
    def _assigned(self) -> Mapping[str, AssignedQuery]:
        return {assigned.query: assigned for assigned in self.queries}


@dataclass(frozen=True, slots=True)
class Split:
    """One fold's three parts; no query, variant of it or group is in two of them."""

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]
    test: tuple[Pair, ...]


@dataclass(frozen=True)
class Holdout:
    """What pseudo-labels, lexicons and tables of word frequencies must not see."""

    queries: frozenset[str]
    items: frozenset[str]

    def holds_query(self, text: str) -> bool:
        """Whether `text` is a held-out query or a spelling variant of one."""
        return bool(self._index.variants(text))

    def holds_item(self, item_id: str) -> bool:
        """Whether the item is held out."""
        return item_id in self.items

    @cached_property
    def _index(self) -> VariantIndex:
        return VariantIndex(self.queries)


def assign_folds(
    pairs: Sequence[Pair], *, folds: int = 5, left_out_subsets: frozenset[str] = LEFT_OUT
) -> FoldAssignment:
    """Put every query with its variants into one of `folds`, balancing each subset's pairs.

    Large groups are placed first, each where its subsets are least filled; ties fall by the
    group's hash. Raises `BadInput` where fewer groups than folds are left.
    """
    kept = [pair for pair in pairs if pair.subset not in left_out_subsets]
    group_of = group_variants(pair.query for pair in kept)
    subsets_of: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in kept:
        subsets_of[group_of[pair.query]][pair.subset] += 1
    if len(subsets_of) < folds:
        raise BadInput(f"folds: expected at least {folds} distinct queries, got {len(subsets_of)}")
    fold_of = _balanced(subsets_of, folds)
    assigned = (
        AssignedQuery(query, group, fold_of[group], _largest(subsets_of[group]))
        for query, group in group_of.items()
    )
    return FoldAssignment(folds, left_out_subsets, tuple(sorted(assigned)))


def split(assignment: FoldAssignment, pairs: Sequence[Pair], *, fold: int) -> Split:
    """The pairs tested in `fold`, and the others as train and query-disjoint validation.

    Validation takes about 15 % of the other folds' groups of each subset, by the hash of group and
    fold; it does not depend on which pairs are passed.
    """
    if not 0 <= fold < assignment.folds:
        raise BadInput(f"fold: expected 0 to {assignment.folds - 1}, got {fold}")
    validation = _validation_groups(assignment, fold)
    parts: dict[str, list[Pair]] = {"train": [], "validation": [], "test": []}
    for pair in pairs:
        tested_in = assignment.fold_of(pair)
        if tested_in is None:
            continue
        held = assignment.assigned(pair.query).group in validation
        part = "test" if tested_in == fold else "validation" if held else "train"
        parts[part].append(pair)
    return Split(**{name: tuple(members) for name, members in parts.items()})


def holdout(test: Split | Iterable[Pair], *, queries_of: Iterable[Pair] = ()) -> Holdout:
    """Hold out the test pairs' queries, their spelling variants and their items.

    `queries_of` are pairs whose queries (not items) are held out as well, say a split's validation.
    """
    tested = tuple(test.test if isinstance(test, Split) else test)
    queries = frozenset(pair.query for pair in (*tested, *queries_of))
    return Holdout(queries, frozenset(pair.item_id for pair in tested))


def write_folds(path: Path, assignment: FoldAssignment) -> None:
    """Write an assignment as Parquet, crash-safe, its hash in the metadata."""
    about = {
        "format": FORMAT,
        "folds": str(assignment.folds),
        "left_out_subsets": json.dumps(sorted(assignment.left_out_subsets)),
        "hash": assignment.hash,
    }
    columns = {name: [getattr(q, name) for q in assignment.queries] for name in _SCHEMA}
    schema = pa.schema(_SCHEMA, metadata=about)
    with replacing_file(path) as temporary:
        pq.write_table(pa.table(columns, schema), temporary, compression="zstd")


def read_folds(path: Path) -> FoldAssignment:
    """Read what `write_folds` wrote; raises `BadInput` where the content is not what was hashed."""
    rows = read_table(path, _COLUMNS).to_pylist()
    about = {k.decode(): v.decode() for k, v in (pq.read_schema(path).metadata or {}).items()}
    if about.get("format") != FORMAT:
        raise BadInput(f"{path}: expected the format {FORMAT}, got {about.get('format')}")
    try:
        assignment = FoldAssignment(
            int(about["folds"]),
            frozenset(json.loads(about["left_out_subsets"])),
            tuple(AssignedQuery(**row) for row in rows),
        )
    except (KeyError, ValueError, TypeError, BadInput) as fault:
        raise BadInput(f"{path}: not the folds that were written: {fault!r}") from fault
    if assignment.hash != about.get("hash"):
        raise BadInput(f"{path}: expected folds {about.get('hash')}, got {assignment.hash}")
    return assignment


_COLUMNS = Columns(
    kind="folds",
    required={"query": pa.string(), "group": pa.string(), "fold": pa.int64()},
    optional={"subset": pa.string()},  # which may be the empty text
)


_SCHEMA = {**_COLUMNS.required, **_COLUMNS.optional}


def _balanced(subsets_of: Mapping[str, Counter[str]], folds: int) -> dict[str, int]:
    """A fold for each group: the one whose share of the group's subsets is smallest so far."""
    filled: list[Counter[str]] = [Counter() for _ in range(folds)]
    totals = sum(subsets_of.values(), Counter[str]())
    fold_of = {}
    for group in sorted(subsets_of, key=lambda g: (-subsets_of[g].total(), _hash(g))):
        counts, first = subsets_of[group], _hash(group) % folds
        loads = [
            (sum(n * full[subset] / totals[subset] for subset, n in counts.items()), full.total())
            for full in filled
        ]
        from_first = [(first + step) % folds for step in range(folds)]
        fold_of[group] = min(from_first, key=loads.__getitem__)
        filled[fold_of[group]].update(counts)
    return fold_of


def _validation_groups(assignment: FoldAssignment, fold: int) -> frozenset[str]:
    others: dict[str, set[str]] = defaultdict(set)
    for assigned in assignment.queries:
        if assigned.fold != fold:
            others[assigned.subset].add(assigned.group)
    chosen: list[str] = []
    for groups in others.values():
        by_hash = sorted(groups, key=lambda group: _hash(f"{fold}\n{group}"))
        share = round(VALIDATION_SHARE * len(groups))
        chosen += by_hash[: max(share, 1) if len(groups) > 1 else 0]
    return frozenset(chosen)


def _largest(counts: Counter[str]) -> str:
    return min(counts, key=lambda subset: (-counts[subset], subset))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
