"""A folder of judgements: Parquet shards and a manifest, each shard written whole or not at all.

A shard that is there is done: that, the journal of the ones under way and the manifest's `about`
are all a run needs to go on after it was killed. How pairs are judged is not known here.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic import replacing_file, write_text
from relevance.domain import Judgement
from relevance.errors import BadInput
from relevance.judgement_files import FORMAT, MANIFEST
from relevance.records import JUDGEMENT_SCHEMA
from teacher.journal import Journal
from teacher.judgement_stream import judgement_row

LOCK = "run.lock"
_COUNTS = b"counts"


@dataclass(frozen=True)
class ShardFolder:
    """Where a job's shards lie; `about` is everything that decides what stands in them."""

    path: Path
    about: Mapping[str, Any]

    @classmethod
    def open(cls, path: Path, about: Mapping[str, Any]) -> "ShardFolder":
        """Begin a job's folder, or go on with it.

        Raises `BadInput` where the folder holds another job's shards; nothing is lost then.
        """
        path.mkdir(parents=True, exist_ok=True)
        known = _read_manifest(path)
        if known is None and any(path.glob("shard-*")):
            raise BadInput(f"{path}: expected an empty folder or one with {MANIFEST}, found shards")
        if known is not None and known["about"] != dict(about):
            differ = sorted(k for k in about if known["about"].get(k) != about[k])
            raise BadInput(
                f"{path}: expected shards of this very job; it differs in {', '.join(differ)}\n"
                "hint: choose another folder, or remove this one to judge anew"
            )
        folder = cls(path, dict(about))
        if known is None:
            folder._write({"state": "running"})
        return folder

    def locked(self) -> Journal:
        """The lock that keeps a second run out for as long as it is open.

        What a killed run left half-written is removed.
        """
        lock = Journal(self.path / LOCK)
        for pattern in (".shard-*", f".{MANIFEST}.*"):
            for torn in self.path.glob(pattern):
                torn.unlink()
        return lock

    def shard(self, number: int) -> Path:
        """The file of a finished shard."""
        return self.path / f"shard-{number:06}.parquet"

    def journal(self, number: int) -> Path:
        """The file of what is known of an unfinished one."""
        return self.path / f"shard-{number:06}.journal"

    def done(self) -> frozenset[int]:
        """The shards that are finished; journals they left behind are removed."""
        found = frozenset(int(p.stem.partition("-")[2]) for p in self.path.glob("shard-*.parquet"))
        for number in found:
            self.journal(number).unlink(missing_ok=True)
        return found

    def write(self, number: int, rows: Sequence[Mapping[str, Any]], counts: Counter[str]) -> None:
        """Write a shard, crash-safe; then its journal is no longer needed."""
        told = json.dumps(dict(sorted(counts.items())))
        schema = JUDGEMENT_SCHEMA.with_metadata(
            {**JUDGEMENT_SCHEMA.metadata, _COUNTS: told.encode()}
        )
        with replacing_file(self.shard(number)) as temporary:
            pq.write_table(pa.Table.from_pylist(list(rows), schema), temporary, compression="zstd")
        self.journal(number).unlink(missing_ok=True)

    def counts(self, numbers: Iterable[int]) -> Counter[str]:
        """What was counted while these shards were made."""
        total: Counter[str] = Counter()
        for number in numbers:
            total.update(json.loads(pq.read_schema(self.shard(number)).metadata[_COUNTS]))
        return total

    def finish(self, shards: int) -> Counter[str]:
        """Write the manifest of a whole job: every shard with its rows and hash; its counts."""
        listed = [self._listed(number) for number in range(shards)]
        counts = self.counts(range(shards))
        self._write({"state": "complete", "counts": dict(sorted(counts.items())), "shards": listed})
        return counts

    def _listed(self, number: int) -> dict[str, object]:
        path = self.shard(number)
        return {
            "file": path.name,
            "rows": pq.read_metadata(path).num_rows,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }

    def _write(self, content: Mapping[str, Any]) -> None:
        told = {"format": FORMAT, "about": dict(self.about), **content}
        write_text(self.path / MANIFEST, json.dumps(told, indent=1, ensure_ascii=False) + "\n")


def rows_of(judgements: Iterable[Judgement]) -> list[dict[str, Any]]:
    """Judgements as the rows that journal and shard hold."""
    return [judgement_row(judgement) for judgement in judgements]


def shard_files(folder: Path) -> list[Path]:
    """The shards of a finished job, in order; raises `BadInput` where it is not finished."""
    manifest = _read_manifest(folder)
    if manifest is None or manifest["state"] != "complete":
        raise BadInput(
            f"{folder}: expected the folder of a finished `ellm teach judge`\n"
            "hint: the same command goes on where it stopped"
        )
    return [folder / shard["file"] for shard in manifest["shards"]]


def is_of(folder: Path, about: Mapping[str, Any]) -> bool:
    """Whether a folder holds shards of this very job."""
    manifest = _read_manifest(folder)
    return manifest is not None and manifest["about"] == dict(about)


def merge_shards(folder: Path, path: Path) -> int:
    """Write every shard's rows into one Parquet file, crash-safe; returns their number."""
    written = 0
    with (
        replacing_file(path) as temporary,
        pq.ParquetWriter(temporary, JUDGEMENT_SCHEMA, compression="zstd") as file,
    ):
        for table in _tables(shard_files(folder)):
            file.write_table(table.replace_schema_metadata(JUDGEMENT_SCHEMA.metadata))
            written += table.num_rows
    return written


def _tables(files: Iterable[Path]) -> Iterator[pa.Table]:
    for path in files:
        with pq.ParquetFile(path) as file:
            yield from (file.read_row_group(group) for group in range(file.num_row_groups))


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT:
            raise ValueError(f"expected the format {FORMAT}, got {content['format']}")
        return {"state": content["state"], **content}
    except (ValueError, KeyError, TypeError) as fault:
        raise BadInput(f"{path}: expected a manifest of judgement shards: {fault!r}") from fault
