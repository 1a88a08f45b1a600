"""The judge: calibrated, explained, quick, and the same online as offline."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.chain_of_thought import parse, render
from relevance.domain import Item, Label, Side
from relevance.errors import BadInput
from relevance.text import normalise
from teacher.online.catalogue import CatalogueJudge
from teacher.online.pair_reading import PairReader
from teacher.online.signals import Signals
from tests.teacher.make_teacher import catalogue, make_item

TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(
        st.sampled_from(
            [
                "red",
                "blue",
                "for",
                "without",
                "lid",
                "24 oz",
                "710 ml",
                "norvane",
                "backpack",
                "(",
                ",",
            ]
            + [
                "sold separately",
                "set of 2",
                "airpods 2",
                "women",
                "STRASSE",
                "straße",
                "free",
                "x",
            ]
        )
    ).map(" ".join),
)
COSINES = st.floats(-1, 1)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_any_pair_is_judged_and_every_span_stands_in_its_text(
    judge: CatalogueJudge, query: str, title: str, field: str, value: str
) -> None:
    item = Item("1", title, field, value, f"A > {field}", value, field, ((field, value),))

    judgement = judge.judge(query, item)

    thought = judgement.chain_of_thought
    assert thought is not None
    assert math.isfinite(judgement.log_odds)
    assert parse(render(thought)) == thought
    texts = {Side.QUERY: normalise(query), Side.TITLE: normalise(title)}
    for span in judgement.spans:
        marked = texts[span.side][span.start : span.end]
        assert len(marked) == span.end - span.start
        assert marked == marked.strip()


@given(COSINES, COSINES)
def test_contributions_sum_up_to_the_log_odds(
    seeing_judge: CatalogueJudge, title: float, text: float
) -> None:
    item = make_item("Norvane Backpack, Blue", brand="Norvane")
    signals = Signals({"cosine_title": title, "cosine_text": text}, {"colbert": 3 * title})

    shares = seeing_judge.contributions("red norvane backpack", item, signals)

    log_odds = seeing_judge.judge("red norvane backpack", item, signals).log_odds
    assert sum(shares.values()) == pytest.approx(log_odds, abs=1e-9) or abs(log_odds) == 8
    assert {"color", "brand", "product", "similarity", "student", "bias"} <= shares.keys()


def test_the_label_is_the_probability_against_the_threshold(judge: CatalogueJudge) -> None:
    for item in catalogue():
        judgement = judge.judge("red backpack", item)
        probability = 1 / (1 + math.exp(-judgement.log_odds))
        thought = judgement.chain_of_thought
        assert thought is not None
        assert (thought.label is Label.GOOD) == (probability >= judge.threshold)


def test_the_right_thing_scores_above_the_wrong_ones(judge: CatalogueJudge) -> None:
    right = judge.judge("red backpack", make_item("Norvane Backpack, Red")).log_odds

    for wrong in ("Norvane Backpack, Blue", "Norvane Desk Lamp, Red", "Norvane Desk Lamp, Blue"):
        assert judge.judge("red backpack", make_item(wrong)).log_odds < right


def test_a_mismatch_never_speaks_for_a_pair(judge: CatalogueJudge) -> None:
    head = judge.weights.heads[-1]
    readings = [judge.reader.read("red backpack", item) for item in catalogue()[::7]]
    rows = np.stack([head.inputs.row(r.features, r.signals) for r in readings])

    for at, name in enumerate(head.inputs.names):
        more = rows.copy()
        more[:, at] += 1
        if name.endswith("_mismatch"):
            assert (head.raw(more) <= head.raw(rows)).all(), name
        if name.endswith("_match"):
            assert (head.raw(more) >= head.raw(rows)).all(), name


def test_a_judge_reads_back_as_it_was_written(judge_folder: Path) -> None:
    one, other = CatalogueJudge.read(judge_folder), CatalogueJudge.read(judge_folder)

    assert one.lexicon == other.lexicon
    assert one.weights == other.weights
    assert one.fingerprint == other.fingerprint


def test_another_weight_is_another_fingerprint(judge_folder: Path, tmp_path: Path) -> None:
    for name in ("lexicon.json", "judge.json"):
        (tmp_path / name).write_bytes((judge_folder / name).read_bytes())
    content = json.loads((tmp_path / "judge.json").read_text())
    content["heads"][-1]["bias"] += 1
    (tmp_path / "judge.json").write_text(json.dumps(content))

    assert (
        CatalogueJudge.read(tmp_path).fingerprint != CatalogueJudge.read(judge_folder).fingerprint
    )


@pytest.mark.parametrize("name", ["lexicon.json", "judge.json"])
@pytest.mark.parametrize("content", [None, "{", "{}", "[]", '{"format": "something-else/9"}'])
def test_a_folder_that_holds_no_judge_is_refused_by_the_files_name(
    judge_folder: Path, tmp_path: Path, name: str, content: str | None
) -> None:
    for other in ("lexicon.json", "judge.json"):
        (tmp_path / other).write_bytes((judge_folder / other).read_bytes())
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)

    with pytest.raises(BadInput, match=name):
        CatalogueJudge.read(tmp_path)


def test_one_pair_alone_scores_as_in_a_matrix(judge: CatalogueJudge) -> None:
    reader = PairReader(judge.lexicon)
    readings = [reader.read("red backpack", item) for item in catalogue()]

    together = judge.log_odds(readings)

    assert [judge.log_odds([reading])[0] for reading in readings] == together.tolist()


@pytest.mark.parametrize(
    ("signals", "students", "similarities"),
    [
        (Signals(), (), ()),
        (Signals({"cosine_title": 0.5}), (), ()),
        (Signals({"cosine_title": 0.5, "cosine_text": 0.4}), (), ("cosine_text", "cosine_title")),
        (Signals(students={"colbert": 1.0}), ("colbert",), ()),
        (
            Signals({"cosine_title": 0.5, "cosine_text": 0.4, "new": 1.0}, {"colbert": 1.0}),
            ("colbert",),
            ("cosine_text", "cosine_title"),
        ),
    ],
)
def test_the_head_that_reads_most_of_what_is_given_is_asked(
    seeing_judge: CatalogueJudge,
    signals: Signals,
    students: tuple[str, ...],
    similarities: tuple[str, ...],
) -> None:
    inputs = seeing_judge.weights.head(signals).inputs

    assert (inputs.students, inputs.similarities) == (students, similarities)


def test_what_no_head_reads_changes_nothing(judge: CatalogueJudge) -> None:
    item = make_item("Norvane Backpack, Red")

    given = judge.judge("red backpack", item, Signals({"cosine_title": 0.9}))

    assert given == judge.judge("red backpack", item)


def test_judging_loads_no_training_stack() -> None:
    code = (
        "import sys, teacher.online.catalogue\n"
        "heavy = 'torch sklearn scipy pandas transformers lightgbm pycrfsuite'.split()\n"
        "print([m for m in heavy if m in sys.modules])"
    )

    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == "[]"
