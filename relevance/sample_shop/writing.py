"""Writes a shop as the data set files of `relevance.records`, and its gold judgements.

The shop's rates stand in the metadata of the pairs file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic import replacing_file
from relevance.domain import Item
from relevance.records import write_judgements
from relevance.sample_shop.fields import attributes_json
from relevance.sample_shop.shop import Shop

PREFIX = "shop"
_STRING = pa.string()
_PLAIN_FIELDS = ("title", "brand", "color", "category_path", "description", "bullet_points")


def write_shop(shop: Shop, folder: Path) -> Path:
    """Write the five tables under `folder`; returns their prefix, `<folder>/shop`."""
    prefix = folder / PREFIX
    _write(prefix, "items", [_item_row(item) for item in shop.items], _ITEMS)
    _write(prefix, "pairs", _pair_rows(shop), _PAIRS, metadata=shop_metadata(shop))
    unlabelled = [{"query": query} for query in shop.queries_unlabelled]
    _write(prefix, "queries_unlabelled", unlabelled, pa.schema({"query": _STRING}))
    log = [{"query": query, "uv": uv} for query, uv in shop.visitors.items()]
    _write(prefix, "query_log", log, pa.schema({"query": _STRING, "uv": pa.int64()}))
    write_judgements(Path(f"{prefix}_gold.parquet"), shop.gold)
    return prefix


def shop_metadata(shop: Shop) -> dict[str, str]:
    """What a reader must know to trust or distrust the shop: its stated and measured rates."""
    hidden = shop.hidden
    return {
        "sample_shop": shop.config.fingerprint,
        "label_noise": f"{shop.config.label_noise:g}",
        "good_share": f"{shop.good_share:.3f}",
        "deciding_values_absent_or_wrong": f"{hidden.absent_or_wrong:.3f}",
        "deciding_values_only_paraphrased": f"{hidden.only_paraphrased:.3f}",
        "pairs_decided_by_title": f"{hidden.in_title:.3f}",
    }


_ITEMS = pa.schema(dict.fromkeys(("item_id", *_PLAIN_FIELDS, "attributes_json"), _STRING))
_PAIRS = pa.schema(
    {
        "query_id": _STRING,
        "query": _STRING,
        "item_id": _STRING,
        "good": pa.int8(),
        "subset": _STRING,
    }
)


def _item_row(item: Item) -> dict[str, object]:
    """Empty fields are null, as in a real export; a title is never empty."""
    plain = {name: getattr(item, name) or None for name in _PLAIN_FIELDS}
    return {"item_id": item.item_id, **plain, "attributes_json": attributes_json(item) or None}


def _pair_rows(shop: Shop) -> list[dict[str, object]]:
    ids = {query: f"Q{number:05d}" for number, query in enumerate(shop.labelled_queries)}
    return [
        {
            "query_id": ids[pair.query.text],
            "query": pair.query.text,
            "item_id": pair.item.item_id,
            "good": int(pair.good),
            "subset": pair.query.kind,
        }
        for pair in shop.pairs
    ]


def _write(
    prefix: Path,
    name: str,
    rows: Sequence[Mapping[str, object]],
    schema: pa.Schema,
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    table = pa.Table.from_pylist(list(rows), schema.with_metadata(metadata))
    with replacing_file(Path(f"{prefix}_{name}.parquet")) as temporary:
        pq.write_table(table, temporary, compression="zstd")
