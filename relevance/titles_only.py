"""A data set of which only titles are left: for a teacher that reads no more than its students.

Pairs, queries and log are copied as they are, so folds, pools and grades of the whole data set
hold for it too.
"""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.atomic import replacing_file
from relevance.errors import BadInput
from relevance.records import STRING, DataSet, read_catalogue


def write_titles_only(found: DataSet, out: Path) -> int:
    """Write the data set under another prefix, items with id and title alone; returns their number.

    Raises `BadInput` where a file of the data set itself would be overwritten, before any is
    written.
    """
    copied = {
        _named(out, name, source): source
        for name, source in (
            ("pairs", found.pairs),
            ("queries_unlabelled", found.queries_unlabelled),
            ("query_log", found.query_log),
        )
        if source is not None
    }
    items = Path(f"{out}_items.parquet")
    for path in (items, *copied):
        if path.resolve() in {p.resolve() for p in (found.items, *copied.values())}:
            raise BadInput(f"{path}: expected another prefix than the data set's own")
    catalogue = read_catalogue(found.items)
    rows = [{"item_id": item.item_id, "title": item.title} for item in catalogue]
    schema = pa.schema({"item_id": STRING, "title": STRING})
    with replacing_file(items) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema), temporary, compression="zstd")
    for path, source in copied.items():
        with replacing_file(path) as temporary:
            shutil.copyfile(source, temporary)
    return len(rows)


def _named(out: Path, name: str, source: Path) -> Path:
    return Path(f"{out}_{name}{source.suffix}")
