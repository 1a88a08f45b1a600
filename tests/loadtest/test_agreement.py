import json
import math
from pathlib import Path

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from loadtest import agreement
from loadtest.agreement_commands import agreement_command
from tests.service.conftest import CATALOGUE, write_catalogue
from tests.service.make_bundle import make_bundle

scores = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.text(max_size=2)),
    st.none() | st.floats(0, 1),
    max_size=20,
)


@given(expected=scores, found=scores)
def test_scores_agree_only_where_every_bit_does(expected, found) -> None:
    said = agreement.compared("a and b", found, expected)

    assert said.different == sum(
        key not in found or found[key] != score for key, score in expected.items()
    )
    assert said.compared == len(expected)
    assert said.is_whole == (bool(expected) and said.different == 0)
    assert len(said.examples) == min(said.different, agreement.EXAMPLES)


@given(expected=scores.filter(lambda table: any(table.values())), data=st.data())
def test_the_last_bit_counts(expected, data) -> None:
    key = data.draw(st.sampled_from(sorted(k for k, score in expected.items() if score)))
    found = {**expected, key: math.nextafter(expected[key], 2.0)}

    assert agreement.compared("a and b", found, expected).different == 1
    assert agreement.compared("a and b", expected, expected).different == 0


def test_nothing_compared_is_no_agreement() -> None:
    assert not agreement.compared("a and b", {}, {}).is_whole


def test_a_run_goes_on_only_with_the_same_bytes(tmp_path) -> None:
    """Else it begins anew; what other runs left of the data set goes, what is not theirs stays."""
    make_bundle(tmp_path / "bundle")
    for name in ("items", "pairs"):
        write(tmp_path / f"shop_{name}.jsonl", [{"item_id": "a"}])

    def folder() -> Path:
        return agreement.work_folder(tmp_path / "work", tmp_path / "bundle", tmp_path / "shop")

    first = folder()
    (first.parent / "notes").mkdir()
    assert folder() == first
    write(tmp_path / "shop_pairs.jsonl", [{"item_id": "b"}])
    second = folder()

    assert second != first
    assert {path.name for path in first.parent.iterdir()} == {second.name, "notes"}


def write(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_scores_are_read_as_evaluate_writes_them(tmp_path) -> None:
    table = {"query": ["q", "q"], "item_id": ["a", "b"], "score": [0.1, None], "logit": [1.0, None]}
    pq.write_table(pa.table(table), tmp_path / "scores.parquet")

    found = agreement.read_scores(tmp_path / "scores.parquet")

    assert found == {("q", "a"): 0.1, ("q", "b"): None}


@pytest.mark.slow
def test_a_store_that_another_bundle_made_does_not_agree(tmp_path) -> None:
    """The drill end to end, once with the bundle itself and once with an impostor's store."""
    for name, seed in (("right", 0), ("wrong", 7)):
        make_bundle(tmp_path / name, seed=seed)
    write_catalogue(tmp_path / "shop_items.jsonl", CATALOGUE)
    pairs = [
        {"query": query, "item_id": item.item_id, "good": 1}
        for query in ("oak desk", "red lamp")
        for item in CATALOGUE[:20]
    ]
    write(tmp_path / "shop_pairs.jsonl", pairs)
    words = [
        "--data",
        str(tmp_path / "shop"),
        "--workers",
        "1",
        "--out",
        str(tmp_path / "out.json"),
        "--work",
        str(tmp_path / "work"),
    ]
    done = CliRunner().invoke(command(), ["--bundle", str(tmp_path / "right"), *words])

    assert done.exit_code == 0, done.output
    [row] = json.loads((tmp_path / "out.json").read_text())["shop"]
    assert (row["compared"], row["different"]) == (40, 0)
    assert row["without_score"] == 2

    store = agreement.refreshed(tmp_path / "wrong", tmp_path / "shop", tmp_path)
    expected = agreement.evaluated(tmp_path / "right", tmp_path / "shop", tmp_path)
    with agreement.served(store, tmp_path, workers=1) as url:
        assert httpx.get(f"{url}/readyz").is_success
        assert agreement.scores_agree(url, expected).different == 38


def command():
    app = typer.Typer()
    app.command()(agreement_command)
    return app
