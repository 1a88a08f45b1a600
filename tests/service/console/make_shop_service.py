"""The sample shop behind a real service: two bundles, the catalogue teacher, one hostile item."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from typer.testing import CliRunner

from relevance.folds import assign_folds, write_folds
from relevance.records import read_pairs
from relevance.sample_shop import ShopConfig, make_shop, write_shop
from service.refresh.refresh import refresh
from teacher.commands import app
from tests.service.live_service import LiveService, live_service
from tests.service.make_bundle import make_bundle

HOSTILE_ID = "HOSTILE"
HOSTILE = (
    "=cmd|'/c calc'!A1 <img src=x onerror=\"document.title='owned'\">"
    "<script>document.title='owned'</script> \u202e{{7*7}} water bottle"
)


@dataclass(frozen=True)
class Shop:
    """Where everything of the shop lies; `prefix` is that of its data set."""

    folder: Path

    @property
    def prefix(self) -> Path:
        return self.folder / "shop"

    @property
    def teacher(self) -> Path:
        return self.folder / "teacher"

    @property
    def audit(self) -> Path:
        return self.folder / "audit" / "audit.json"

    def store(self, name: str) -> Path:
        return self.folder / f"store-{name}"

    @contextmanager
    def served(self, **settings: str) -> Iterator[LiveService]:
        """`ellm serve` with the console's settings; others, or none, where they are given."""
        with live_service(
            self.store("first"),
            self.folder / "service.log",
            workers=1,
            console_compare=str(self.store("second")),
            **settings,
        ) as service:
            yield service


def make_shop_files(folder: Path) -> Shop:
    shop = Shop(folder)
    config = ShopConfig(items=200, labelled_queries=30, unlabelled_queries=60)
    write_shop(make_shop(config), folder)
    _add_hostile_item(Path(f"{shop.prefix}_items.parquet"))
    pairs = read_pairs(Path(f"{shop.prefix}_pairs.parquet"), labelled=True)
    write_folds(folder / "folds.parquet", assign_folds(pairs))
    teach("fit", data=shop.prefix, folds=folder / "folds.parquet", fold=0, out=shop.teacher)
    teach(
        "audit",
        data=shop.prefix,
        judgements=shop.teacher / "judgements.parquet",
        out=shop.audit.parent,
    )
    for seed, name in enumerate(("first", "second")):
        bundle = folder / f"bundle-{name}"
        make_bundle(bundle, seed=seed, max_query_tokens=16, max_item_tokens=60)
        refresh(bundle=bundle, items=Path(f"{shop.prefix}_items.parquet"), store=shop.store(name))
    return shop


def teach(command: str, **options: object) -> None:
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    done = CliRunner().invoke(app, [command, *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def _add_hostile_item(path: Path) -> None:
    table = pq.read_table(path)
    row = dict.fromkeys(table.column_names) | {"item_id": HOSTILE_ID, "title": HOSTILE}
    added = pa.Table.from_pylist([row], table.schema)
    pq.write_table(pa.concat_tables([table, added]), path)
