"""Nested scores: every labelled pair once, and never by a student that saw its query."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from relevance.errors import BadInput
from relevance.folds import assign_folds, holdout, split
from relevance.records import Pair, write_pairs
from teacher.signal_files import read_signals
from tests.trainer.make_students import CATALOGUE, shop_pairs, write_shop
from trainer.nested_scores import (
    OUTER,
    Lesson,
    StudentLearner,
    learn_all,
    lessons,
    write_nested_scores,
)
from trainer.recipes import ce, mkd

# Some queries come in two spellings, which must stay together.
PAIRS = [
    replace(pair, query=f"{pair.query}{'s' * (at % 2) if 'lamp' in pair.query else ''}")
    for at, pair in enumerate(shop_pairs())
    if at % 4 == 0
]
FOLDS = assign_folds(PAIRS)


def memoriser(lesson: Lesson) -> np.ndarray:
    """Knows the label of every query it learned from, in any spelling, and nothing else."""
    seen = holdout((), queries_of=(*lesson.train, *lesson.validation))
    return np.array([5.0 * seen.holds_query(pair.query) for pair in lesson.scored])


def keys(pairs) -> list[tuple[str, str]]:
    return sorted((pair.query, pair.item_id) for pair in pairs)


def learned(tmp_path: Path, asked, learn=memoriser) -> list[tuple[str, str, float]]:
    tables = learn_all(asked, learn, column="student", work=tmp_path, key=lambda one: one.name)
    return [tuple(row.values()) for table in tables for row in table.to_pylist()]


@settings(max_examples=15)
@given(fold=st.integers(0, 4), inner=st.integers(2, 6))
def test_every_labelled_pair_is_scored_once(fold, inner):
    asked = lessons(FOLDS, PAIRS, fold=fold, inner_folds=inner)

    assert keys(pair for one in asked for pair in one.scored) == keys(PAIRS)
    assert len(asked) == inner + 1


@settings(max_examples=15)
@given(fold=st.integers(0, 4), inner=st.integers(2, 6))
def test_no_student_learns_from_a_query_it_scores_nor_from_the_outer_test_part(fold, inner):
    parts = split(FOLDS, PAIRS, fold=fold)
    tested = holdout(parts)

    for lesson in lessons(FOLDS, PAIRS, fold=fold, inner_folds=inner):
        scored = set(lesson.scored) - (set(parts.validation) if lesson.name == OUTER else set())
        held = holdout((), queries_of=scored)
        assert scored
        for pair in (*lesson.train, *lesson.validation):
            assert not held.holds_query(pair.query)
            assert not tested.holds_query(pair.query)


def test_who_remembers_all_it_saw_has_nothing_to_tell_the_judge(tmp_path):
    parts = split(FOLDS, PAIRS, fold=1)
    chose_by = set(keys(parts.validation))

    told = learned(tmp_path, lessons(FOLDS, PAIRS, fold=1))

    assert len(told) == len(PAIRS)
    assert all(logit == 0 for query, item_id, logit in told if (query, item_id) not in chose_by)


def test_the_same_memory_gives_a_student_away_that_was_not_kept_from_its_pairs(tmp_path):
    parts = split(FOLDS, PAIRS, fold=1)
    leaking = Lesson("leaking", parts.train, parts.validation, parts.train)

    assert all(logit == 5 for _, _, logit in learned(tmp_path, [leaking]))


def test_a_pools_pair_is_scored_by_the_student_that_was_kept_from_its_query():
    parts = split(FOLDS, PAIRS, fold=0)
    asked = "red lamps"
    known = next(p.query for p in (*parts.train, *parts.test) if p.query.startswith("red lamp"))
    pool = [Pair(asked, f"new {n}") for n in range(3)] + [Pair("oak sideboard", "new 0")]
    fold = next(n for n in range(5) if any(p.query == known for p in split_train(n)))

    found = lessons(FOLDS, PAIRS, fold=fold, others=[*pool, *PAIRS[:3]])

    scoring = [lesson for lesson in found if set(pool[:3]) & set(lesson.scored)]
    assert len(scoring) == 1
    assert scoring[0].name != OUTER
    assert any(pair.query == known for pair in scoring[0].scored)
    assert pool[3] in found[-1].scored
    assert keys(p for one in found for p in one.scored) == keys([*PAIRS, *pool])


def split_train(fold: int):
    return split(FOLDS, PAIRS, fold=fold).train


def test_a_finished_lesson_is_not_learned_again_and_pairs_without_a_token_are_left_out(tmp_path):
    asked = lessons(FOLDS, PAIRS, fold=2)
    calls = []

    def student(lesson: Lesson) -> np.ndarray:
        calls.append(lesson.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return np.where(np.arange(len(lesson.scored)) % 2, np.nan, 1.0)

    with pytest.raises(KeyboardInterrupt):
        learned(tmp_path, asked, student)
    told = learned(tmp_path, asked, student)

    assert calls == ["inner0", "inner1", "inner2", *(one.name for one in asked[2:])]
    assert len(told) == sum((len(one.scored) + 1) // 2 for one in asked)


def test_another_recipe_label_or_text_is_another_lesson(tmp_path):
    lesson = lessons(FOLDS, PAIRS, fold=2)[0]
    learner = StudentLearner(ce(), "tiny", CATALOGUE, tmp_path)
    first = lesson.train[0]
    relabelled = replace(lesson, train=(replace(first, good=not first.good), *lesson.train[1:]))
    retitled = {**CATALOGUE, first.item_id: replace(CATALOGUE[first.item_id], title="oak")}
    others = [
        replace(learner, recipe=replace(ce(), seed=1)).key(lesson),
        replace(learner, backbone="other").key(lesson),
        replace(learner, catalogue=retitled).key(lesson),
        learner.key(relabelled),
        learner.key(replace(lesson, train=lesson.train[:-1])),
    ]

    assert learner.key(lesson) == learner.key(replace(lesson))
    assert len({learner.key(lesson), *others}) == 1 + len(others)


def test_a_student_of_the_teacher_may_not_advise_it(tmp_path):
    with pytest.raises(BadInput, match="of human labels alone, got `mkd`"):
        StudentLearner(mkd(), "tiny", CATALOGUE, tmp_path)


def test_the_lessons_come_out_as_one_file_that_the_judge_reads(tmp_path):
    asked = lessons(FOLDS, PAIRS, fold=0)
    tables = learn_all(asked, memoriser, column="ce", work=tmp_path, key=lambda one: one.name)

    count = write_nested_scores(tmp_path / "scores.parquet", tables)

    found = read_signals(None, tmp_path / "scores.parquet")
    assert (found.students, len(found.rows), count) == (("ce",), len(PAIRS), len(PAIRS))


@pytest.mark.slow
def test_from_labels_to_a_judge_that_reads_its_nested_student(tmp_path, wide_backbone_folder):
    from teacher.commands import app as teach
    from trainer.commands import app as train

    data, folds = write_shop(tmp_path / "shop", PAIRS)
    write_pairs(tmp_path / "pool.parquet", [Pair("oak desk", "I3"), Pair("oak desk", "I7")])
    common = ["--data", data, "--folds", folds, "--fold", 0]

    for words in (
        [
            *("nested", *common, "--out", tmp_path / "scores.parquet", "--work", tmp_path / "work"),
            *("--inner", 2, "--pairs", tmp_path / "pool.parquet", "--threads", 1),
            *("--set", "steps=4", "--set", "evaluations=1", "--backbone", wide_backbone_folder),
        ],
    ):
        done = CliRunner().invoke(train, [str(w) for w in words], catch_exceptions=False)
        assert done.exit_code == 0, done.output
    scores = pq.read_table(tmp_path / "scores.parquet")
    assert len(scores) == len(PAIRS) + 2
    assert np.isfinite(scores["student"].to_numpy()).all()
    assert len(list((tmp_path / "work").glob("*.parquet"))) == 3
    assert not list((tmp_path / "work").glob("*.state"))

    words = ["fit", *common, "--student-scores", tmp_path / "scores.parquet"]
    done = CliRunner().invoke(
        teach, [str(w) for w in (*words, "--out", tmp_path / "judge")], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "judge" / "judgements_without_student.parquet").is_file()
