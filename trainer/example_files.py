"""A judged pool packed in one Parquet file: pairs with their texts and judgements, in blocks.

Made for pools that do not fit into memory: packing reads pool and judgements side by side, training
reads one row group at a time and tokenises only what its own step needs. Pools that fit are
learned from as pairs and judgements (`examples.py`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import Tokenizer
from tqdm import tqdm

from relevance.atomic import replacing_file
from relevance.domain import EvidenceSpan, Item, Relevance, Side
from relevance.errors import BadInput
from relevance.item_text import ItemText, item_text
from relevance.judgement_files import judgement_files
from relevance.records import JUDGEMENT_SCHEMA, Pair
from relevance.text import normalise
from trainer.batches import pool_blocks
from trainer.examples import Example, TextLengths, make_example
from trainer.students.texts import TokenisedText, tokenise

FORMAT = "relevance-examples/1"
ROW_GROUP_PAIRS = 8192  # what training holds in memory, and shuffles within
READ_PAIRS = 4096  # rows of pool and judgements read at a time while packing
KEPT_TEXTS = 65_536  # tokenised texts kept for reuse: a pool's texts come back within a block

_SCHEMA = pa.schema(
    {
        "block": pa.int64(),
        "query": pa.string(),
        "item_id": pa.string(),
        "item_text": pa.string(),
        "log_odds": pa.float32(),
        "spans": JUDGEMENT_SCHEMA.field("spans").type,
    }
)


@dataclass(frozen=True, slots=True)
class PackedPair:
    """A pool's pair before it is tokenised: what steps are drawn and split by."""

    query: str
    item_id: str
    item_text: str
    log_odds: float
    spans: tuple[EvidenceSpan, ...]

    @property
    def item_key(self) -> object:
        """Equal for equal item texts."""
        return self.item_text

    @property
    def item_length(self) -> int:
        """About how many tokens the item has: four characters each."""
        return len(self.item_text) // 4


@dataclass(frozen=True)
class ExampleFile:
    """A packed pool, opened; with a tokenizer it turns its pairs into examples."""

    path: Path
    item_text: ItemText
    pairs: int
    tokenizer: Tokenizer | None = None
    lengths: TextLengths | None = None

    @property
    def fingerprint(self) -> str:
        """Tells one packed pool from another."""
        return f"{self.pairs} {self.path.stat().st_size}"

    def tokenised_by(self, tokenizer: Tokenizer, lengths: TextLengths) -> "ExampleFile":
        """The same pool for a student; `BadInput` where it was packed with another item text."""
        if lengths.item_text is not self.item_text:
            raise BadInput(
                f"{self.path}: packed with the item text {self.item_text}, "
                f"but the recipe reads {lengths.item_text}"
            )
        return replace(self, tokenizer=tokenizer, lengths=lengths)

    def keys(self) -> Iterator[Pair]:
        """Every pair's query and item, without its texts, in file order."""
        for row in _read(self.path, ["query", "item_id"]):
            yield Pair(row["query"], row["item_id"])

    def blocks(self, seed: int) -> Iterator[Sequence[PackedPair]]:
        """Blocks for ever: each epoch all row groups shuffled, and the blocks within each."""
        random = np.random.default_rng(seed)
        with pq.ParquetFile(self.path) as file:
            while True:
                for group in random.permutation(file.num_row_groups):
                    blocks = _blocks_of(file.read_row_group(int(group)).to_pylist())
                    for at in random.permutation(len(blocks)):
                        yield blocks[at]

    def example(self, pair: PackedPair) -> Example:
        """The pair tokenised; `tokenised_by` comes first."""
        assert self.lengths is not None
        query = self._tokenised(pair.query, self.lengths.query_tokens)
        item = self._tokenised(pair.item_text, self.lengths.item_tokens)
        return make_example(
            pair.query, query, item, good=None, log_odds=pair.log_odds, spans=pair.spans
        )

    @cached_property
    def _tokenised(self) -> Callable[[str, int], TokenisedText]:
        tokenizer = self.tokenizer
        assert tokenizer is not None, "tokenised_by comes first"

        @lru_cache(maxsize=KEPT_TEXTS)
        def tokenised(text: str, length: int) -> TokenisedText:
            return tokenise(tokenizer, [text], length=length)[0]

        return tokenised


def pack_pool(
    out: Path,
    *,
    pool: Path,
    judgements: Path,
    catalogue: Mapping[str, Item],
    template: ItemText,
) -> int:
    """Pack a judged pool; returns how many pairs. Memory does not grow with their number.

    The judgements, a file or a finished job's folder of shards, must follow the pool's order, as
    `ellm teach judge` writes them; of several targets of a pair the last counts. Pairs that the
    teacher left out are passed over. Raises `BadInput` where a judgement finds no pair.
    """
    schema = _SCHEMA.with_metadata({"format": FORMAT, "item_text": str(template)})
    rows = _rows(pool, judgements, catalogue, template)
    numbered = enumerate(pool_blocks(rows))
    count = 0
    with (
        replacing_file(out) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd") as writer,
    ):
        for group in _row_groups(numbered):
            writer.write_table(pa.Table.from_pylist(group, schema), row_group_size=len(group))
            count += len(group)
    if not count:
        raise BadInput(f"{pool}: expected judged pairs, found none")
    return count


def open_examples(path: Path) -> ExampleFile:
    """Open a packed pool; raises `BadInput` where it is none."""
    try:
        found = pq.read_metadata(path)
        about = {k.decode(): v.decode() for k, v in (found.metadata or {}).items()}
    except (OSError, pa.ArrowInvalid) as fault:
        raise BadInput(f"{path}: expected a packed pool: {fault}") from fault
    if about.get("format") != FORMAT:
        raise BadInput(f"{path}: expected the format {FORMAT}, got {about.get('format')}")
    return ExampleFile(path, ItemText(about["item_text"]), found.num_rows)


def ready_examples(
    part: Sequence[Example | PackedPair], packed: ExampleFile | None
) -> list[Example]:
    """The part's pairs tokenised; packed pairs with a silent side are left out."""
    made = []
    for pair in part:
        if isinstance(pair, Example):
            made.append(pair)
        elif packed is not None:
            made.append(packed.example(pair))
    return [example for example in made if example.query_text.offsets and example.item_length]


def _rows(
    pool: Path, judgements: Path, catalogue: Mapping[str, Item], template: ItemText
) -> Iterator[PackedPair]:
    pairs = ((str(row["query"]), str(row["item_id"])) for row in _read(pool, ["query", "item_id"]))
    for judged in _judged(judgements):
        key = (judged["query"], judged["item_id"])
        if key not in pairs:  # moves on to it: both files are in one order
            raise BadInput(
                f"{judgements}: the judgement of ({key[0]!r}, `{key[1]}`) has no pair in {pool} "
                "at or after its place\nhint: the files must be in the same order"
            )
        if key[1] not in catalogue:
            raise BadInput(f"{pool}: item `{key[1]}` is not in the catalogue")
        text = item_text(catalogue[key[1]], template)
        spans = _spans(judged["spans"] or ())
        yield PackedPair(normalise(key[0]), key[1], text, judged["log_odds"], spans)


def _judged(judgements: Path) -> Iterator[dict[str, Any]]:
    """One judgement a pair, with a bar on stderr."""
    files, columns = judgement_files(judgements), ["query", "item_id", "log_odds", "spans"]
    total = sum(pq.read_metadata(file).num_rows for file in files)
    rows = (row for file in files for row in _read(file, columns))
    told = tqdm(rows, total=total, desc="packing", unit="judgement")
    for _, of_a_pair in groupby(told, key=lambda row: (row["query"], row["item_id"])):
        *_, last = of_a_pair
        yield last


def _read(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(READ_PAIRS, columns=columns):
                yield from batch.to_pylist()
    except (OSError, pa.ArrowInvalid) as fault:
        raise BadInput(f"{path}: expected Parquet with {', '.join(columns)}: {fault}") from fault


def _row_groups(
    blocks: Iterable[tuple[int, Sequence[PackedPair]]],
) -> Iterator[list[dict[str, Any]]]:
    """Rows of whole blocks, as many as make a row group."""
    rows: list[dict[str, Any]] = []
    for number, block in blocks:
        rows += [{"block": number, **asdict(pair)} for pair in block]
        if len(rows) >= ROW_GROUP_PAIRS:
            yield rows
            rows = []
    if rows:
        yield rows


def _blocks_of(rows: Sequence[dict[str, Any]]) -> list[Sequence[PackedPair]]:
    return [
        [
            PackedPair(
                row["query"],
                row["item_id"],
                row["item_text"],
                row["log_odds"],
                _spans(row["spans"] or ()),
            )
            for row in block
        ]
        for _, block in groupby(rows, key=lambda row: row["block"])
    ]


def _spans(records: Iterable[dict[str, Any]]) -> tuple[EvidenceSpan, ...]:
    return tuple(
        EvidenceSpan(
            Side(record["side"]),
            record["start"],
            record["end"],
            Relevance(record["relevance"]),
            record["aspect"],
        )
        for record in records
    )
