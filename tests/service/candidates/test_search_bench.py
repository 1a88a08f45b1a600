"""The recall table: complete where candidates are all items, and a share where they are not."""

import json
import shutil
from collections.abc import Callable

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from relevance.generation import StorePaths, read_current
from relevance.late_interaction import quantise_query
from service.benchmark.search_bench import measure_recall, measure_sizes
from service.benchmark.search_commands import search_command
from service.candidates.commands import index_command
from service.encoder import OnnxTokenEncoder
from service.faiss_store.commands import tokens_command
from service.scorer import open_scorer
from tests.service.redis_tier.stores import current_reader


@pytest.fixture
def queries(bundle_folder, bundle):
    encoder = OnnxTokenEncoder.read(bundle_folder, bundle)
    texts = ("red lamp", "water bottle", "oak desk")
    return [quantise_query(encoder.encode(text, limit=8).vectors) for text in texts]


def test_candidates_that_are_the_whole_catalogue_hold_all_the_best(
    store_folder, bundle_folder, bundle, queries
) -> None:
    scorer, _ = open_scorer(bundle_folder, bundle)

    rows = list(measure_recall(current_reader(store_folder), queries, scorer, spans=[1], say=print))

    assert [row.depth for row in rows] == [100, 300, 1000]
    assert rows[-1].recall == rows[-1].least == 1
    assert 0 < rows[0].recall <= 1


def test_both_ways_of_searching_are_timed_for_the_whole_catalogue(
    store_folder, bundle_folder, bundle, queries
) -> None:
    scorer, _ = open_scorer(bundle_folder, bundle)
    generation = current_reader(store_folder)

    (size,) = measure_sizes(generation, queries, scorer)

    assert size.items == generation.manifest.items
    assert min(size.exhaustive_ms, size.candidates_ms) > 0


def run(command: Callable[..., None], *words: str) -> str:
    app = typer.Typer()
    app.command()(command)
    shown = CliRunner().invoke(app, words)
    assert shown.exit_code == 0, (shown.output, shown.exception)
    return shown.stdout


def test_the_commands_make_an_index_tokens_and_a_table(store_folder, tmp_path) -> None:
    shutil.copytree(store_folder, tmp_path / "store")
    (tmp_path / "queries.jsonl").write_text(json.dumps({"query": "red lamp"}) + "\n")
    store = ["--store", str(tmp_path / "store")]
    bench = [*store, "--queries", str(tmp_path / "queries.jsonl"), "--spans", "1,8"]

    said = [
        run(index_command, *store, "--span", "2"),
        run(tokens_command, *store),
        run(search_command, *bench, "--out", str(tmp_path / "bench")),
    ]

    generation = read_current(StorePaths(tmp_path / "store")).generation
    assert (tmp_path / "store" / "candidates" / generation / "manifest.json").is_file()
    assert "error       0.0000" in said[1]
    figures = json.loads((tmp_path / "bench" / "search.json").read_text())
    assert np.unique([row["span"] for row in figures["recall"]]).tolist() == [1, 8]
