"""Annotators write chains of thought about labelled pairs, several samples each; the files of it.

What an annotator is inside, a language model or a reader of catalogue fields, is its own business:
texts come out. Which of them are kept is `selection.py`'s.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic import replacing_file
from relevance.chain_of_thought import parse
from relevance.domain import ChainOfThought, Item
from relevance.errors import BadInput
from relevance.records import Pair
from relevance.tables import Columns, read_table

FORMAT = "annotations/1"
PAIRS_IN_A_PART = 256  # what a stopped run of an annotator without a journal loses at most
_PART = "part-{:06}.parquet"
_SCHEMA = pa.schema(
    {
        "query": pa.string(),
        "item_id": pa.string(),
        "annotator": pa.string(),
        "sample": pa.int32(),
        "text": pa.string(),
    }
)


@dataclass(frozen=True, slots=True)
class Samples:
    """For each pair its texts, and what they cost as counts (tokens, faults) that add up."""

    texts: Sequence[Sequence[str]]
    costs: Mapping[str, int] = field(default_factory=dict)


class Annotator(Protocol):
    """Writes chains of thought; `name` tells annotators apart in files and statistics."""

    @property
    def name(self) -> str:
        """Model or policy."""
        ...

    def annotate(
        self, asked: Sequence[tuple[str, Item]], *, samples: int, journal: Path
    ) -> Samples:
        """For each query and item `samples` texts, drawn independently.

        Whoever is slow notes in `journal` what is done, and goes on from there after a kill.
        """
        ...


@dataclass(frozen=True, slots=True)
class Annotation:
    """One sample: who wrote it, and its text."""

    annotator: str
    sample: int
    text: str

    @property
    def thought(self) -> ChainOfThought | None:
        """What the text says; None where it is no chain of thought."""
        try:
            return parse(self.text.strip())
        except BadInput:
            return None


@dataclass(frozen=True, slots=True)
class AnnotatedPair:
    """Every sample of a pair."""

    query: str
    item_id: str
    annotations: tuple[Annotation, ...]


def annotate_pairs(
    pairs: Sequence[Pair],
    items: dict[str, Item],
    annotators: Sequence[Annotator],
    folder: Path,
    *,
    samples: int,
) -> Iterator[int]:
    """Write every sample of every pair into `folder`, part by part; yields the pairs done so far.

    A run that was stopped goes on with the first part that is missing. Raises `BadInput` where the
    folder holds parts of other pairs, annotators or numbers of samples.
    """
    about = _about(pairs, annotators, samples)
    folder.mkdir(parents=True, exist_ok=True)
    for torn in folder.glob(".part-*"):  # by a run that was killed
        torn.unlink()
    done = 0
    for number, start in enumerate(range(0, len(pairs), PAIRS_IN_A_PART)):
        chunk, path = pairs[start : start + PAIRS_IN_A_PART], folder / _PART.format(number)
        if path.exists():
            _check_about(path, about)
        else:
            journals = [path.with_suffix(f".{about}.{n}.journal") for n in range(len(annotators))]
            written = _annotated(chunk, items, annotators, journals, samples)
            _write_part(path, _rows(chunk, written), _costs(written), about)
        for journal in folder.glob(f"{path.stem}.*.journal"):
            journal.unlink()
        done += len(chunk)
        yield done


def read_annotations(folder: Path) -> Iterator[AnnotatedPair]:
    """Every annotated pair, part by part, in the order of the pairs."""
    parts = sorted(folder.glob("part-*.parquet"))
    if not parts:
        raise BadInput(f"{folder}: expected a folder written by `ellm teach annotate`, found none")
    columns = Columns("annotations", {field.name: field.type for field in _SCHEMA}, optional={})
    for part in parts:
        if _metadata(part).get("format") != FORMAT:
            raise BadInput(f"{part}: expected the format {FORMAT}")
        yield from _grouped(read_table(part, columns).to_pylist())


def read_costs(folder: Path) -> dict[str, Counter[str]]:
    """What every annotator's samples cost, summed over the parts."""
    sums: dict[str, Counter[str]] = {}
    for part in sorted(folder.glob("part-*.parquet")):
        for name, costs in json.loads(_metadata(part).get("costs", "{}")).items():
            sums.setdefault(name, Counter()).update(costs)
    return sums


def _annotated(
    pairs: Sequence[Pair],
    items: dict[str, Item],
    annotators: Sequence[Annotator],
    journals: Sequence[Path],
    samples: int,
) -> dict[str, Samples]:
    """What every annotator wrote; all of them at work at the same time."""
    for pair in pairs:
        if pair.item_id not in items:
            raise BadInput(f"annotating: the catalogue has no item `{pair.item_id}`")
    asked = [(pair.query, items[pair.item_id]) for pair in pairs]
    with ThreadPoolExecutor(len(annotators)) as threads:
        written = [
            threads.submit(annotator.annotate, asked, samples=samples, journal=journal)
            for annotator, journal in zip(annotators, journals, strict=True)
        ]
        names = (annotator.name for annotator in annotators)
        return {name: one.result() for name, one in zip(names, written, strict=True)}


def _rows(pairs: Sequence[Pair], written: Mapping[str, Samples]) -> Iterator[dict[str, object]]:
    for at, pair in enumerate(pairs):
        for name, samples in written.items():
            for sample, text in enumerate(samples.texts[at]):
                yield {
                    "query": pair.query,
                    "item_id": pair.item_id,
                    "annotator": name,
                    "sample": sample,
                    "text": text,
                }


def _costs(written: Mapping[str, Samples]) -> str:
    return json.dumps({name: dict(samples.costs) for name, samples in written.items()})


def _grouped(rows: Iterable[dict[str, object]]) -> Iterator[AnnotatedPair]:
    found: dict[tuple[str, str], list[Annotation]] = {}
    for row in rows:
        key = (str(row["query"]), str(row["item_id"]))
        annotation = Annotation(str(row["annotator"]), int(str(row["sample"])), str(row["text"]))
        found.setdefault(key, []).append(annotation)
    for (query, item_id), annotations in found.items():
        yield AnnotatedPair(query, item_id, tuple(annotations))


def _write_part(path: Path, rows: Iterable[dict[str, object]], costs: str, about: str) -> None:
    schema = _SCHEMA.with_metadata({"format": FORMAT, "about": about, "costs": costs})
    with replacing_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema), temporary, compression="zstd")


def _about(pairs: Sequence[Pair], annotators: Sequence[Annotator], samples: int) -> str:
    """Sixteen hex digits over everything that decides which part holds what."""
    keys = [[pair.query, pair.item_id] for pair in pairs]
    content = json.dumps([keys, [a.name for a in annotators], samples, PAIRS_IN_A_PART])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _check_about(path: Path, about: str) -> None:
    if _metadata(path).get("about") != about:
        raise BadInput(
            f"{path}: expected a part of this very run; it is of other pairs, annotators or "
            "samples\nhint: choose another folder"
        )


def _metadata(path: Path) -> dict[str, str]:
    found = pq.read_schema(path).metadata or {}
    return {key.decode(): value.decode() for key, value in found.items()}
