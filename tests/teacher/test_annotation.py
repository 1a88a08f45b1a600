"""Annotating: any annotator fits, a stopped run goes on, the catalogue's own two vary."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.records import Pair, write_pairs
from teacher import annotation
from teacher.annotation import Samples, annotate_pairs, read_annotations
from teacher.catalogue_annotators import POLICIES, CatalogueAnnotator, Policy
from teacher.commands import app
from teacher.online.catalogue import CatalogueJudge
from tests.teacher.make_teacher import catalogue, labelled_pairs, make_item

PAIRS = labelled_pairs()
ITEMS = {item.item_id: item for item in catalogue()}


class Parrot:
    """An annotator that repeats the query, and counts what it was asked."""

    name = "parrot"

    def __init__(self, *, stop_after: int = 10**9) -> None:
        self.asked = 0
        self.stop_after = stop_after

    def annotate(
        self, asked: Sequence[tuple[str, Item]], *, samples: int, journal: Path
    ) -> Samples:
        if self.asked >= self.stop_after:
            raise KeyboardInterrupt
        self.asked += len(asked)
        return Samples([[f"{query} {n}" for n in range(samples)] for query, _ in asked])


def run(folder: Path, parrot: Parrot, pairs: Sequence[Pair] = PAIRS, samples: int = 2) -> list[int]:
    return list(annotate_pairs(pairs, ITEMS, [parrot], folder, samples=samples))


def many() -> list[Pair]:
    """More pairs than one part holds."""
    ids = list(ITEMS)
    return [Pair(f"query {n}", ids[n % len(ids)], True) for n in range(600)]


def test_every_sample_of_every_pair_is_written_in_order(tmp_path: Path) -> None:
    assert run(tmp_path, Parrot())[-1] == len(PAIRS)

    found = list(read_annotations(tmp_path))

    assert [(a.query, a.item_id) for a in found] == [(p.query, p.item_id) for p in PAIRS]
    assert [one.text for one in found[0].annotations] == [f"{PAIRS[0].query} {n}" for n in (0, 1)]


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    pairs, first, second = many(), Parrot(stop_after=256), Parrot()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", first, pairs)

    run(tmp_path / "stopped", second, pairs)
    run(tmp_path / "whole", Parrot(), pairs)

    assert second.asked == len(pairs) - annotation.PAIRS_IN_A_PART
    assert list(read_annotations(tmp_path / "stopped")) == list(
        read_annotations(tmp_path / "whole")
    )


def test_a_folder_of_another_run_is_not_mixed_with_this_one(tmp_path: Path) -> None:
    run(tmp_path, Parrot())

    with pytest.raises(BadInput, match="other pairs, annotators or"):
        run(tmp_path, Parrot(), samples=3)


def test_an_empty_folder_holds_no_annotations(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="written by `ellm teach annotate`"):
        list(read_annotations(tmp_path))


def test_catalogue_samples_are_readable_vary_and_depend_on_the_pair_alone(
    judge: CatalogueJudge, tmp_path: Path
) -> None:
    annotator = CatalogueAnnotator(judge, POLICIES[0])
    item = make_item("Norvane Backpack, Blue", brand="Norvane")
    asked = [("red norvane backpack", item), ("blue lamp", item)]

    journal = tmp_path / "journal"

    together = annotator.annotate(asked, samples=8, journal=journal).texts
    alone = [annotator.annotate([one], samples=8, journal=journal).texts[0] for one in asked]

    assert list(together) == alone
    assert len(set(together[0])) > 1
    thoughts = [annotation.Annotation("a", 0, text).thought for text in together[0]]
    assert None not in thoughts
    full = judge.judge(*asked[0]).chain_of_thought
    assert full is not None
    assert all(set(t.findings) <= set(full.findings) for t in thoughts if t)


def test_a_policy_does_not_read_what_it_leaves_out(judge: CatalogueJudge, tmp_path: Path) -> None:
    item = make_item("Norvane Backpack", description="A leather backpack.")
    never = replace(POLICIES[1], drop=0.0)

    def text(policy: Policy) -> str:
        asked = [("leather backpack", item)]
        annotator = CatalogueAnnotator(judge, policy)
        return annotator.annotate(asked, samples=1, journal=tmp_path / "journal").texts[0][0]

    short, all_of = text(never), text(replace(POLICIES[0], drop=0.0))

    assert "(not stated) -> missing" in short
    assert "(not stated)" not in all_of


def test_from_labelled_pairs_to_chains_to_learn_from(judge_folder: Path, tmp_path: Path) -> None:
    rows = [
        {"item_id": i.item_id, "title": i.title, "brand": i.brand, "color": i.color}
        for i in ITEMS.values()
    ]
    (tmp_path / "items.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    write_pairs(tmp_path / "pairs.parquet", PAIRS[:40])

    def invoke(*words: object) -> str:
        result = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)
        assert result.exit_code == 0
        return result.stdout

    invoke(
        *("annotate", "--judge", judge_folder, "--items", tmp_path / "items.jsonl"),
        *("--pairs", tmp_path / "pairs.parquet", "--samples", 3, "--out", tmp_path / "samples"),
    )
    said = invoke(
        *("select", "--annotations", tmp_path / "samples", "--pairs", tmp_path / "pairs.parquet"),
        *("--out", tmp_path / "sft.parquet", "--statistics", tmp_path / "counts.json"),
    )

    chains, counts = (
        pq.read_table(tmp_path / "sft.parquet").to_pylist(),
        json.loads((tmp_path / "counts.json").read_text()),
    )
    assert counts["pairs"] == 40
    assert counts["selected"] == len(chains) > 20
    assert "chains to learn from" in said
    assert all(("Final judgment: Good" in c["chain_of_thought"]) == c["good"] for c in chains)
