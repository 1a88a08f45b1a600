"""The gate: open to a teacher that is better beyond doubt, shut to every other."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from relevance.domain import Judgement, Target
from relevance.errors import BadInput, GateRefused
from relevance.folds import FoldAssignment, assign_folds, split, write_folds
from relevance.records import Pair, write_judgements
from teacher.commands import app
from teacher.gate import compare
from teacher.held_out_scores import WITHOUT_STUDENT, HeldOutScores, files_of, read_held_out

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def make_scores(
    *, gain: float, seed: int = 0, fold: int = 0, queries: int = 80, unscored: int = 0
) -> HeldOutScores:
    """A fold whose teacher separates by `gain`, whose student by 1."""
    stream = np.random.default_rng(seed)
    query_of = np.repeat(np.arange(queries), 6)
    good = stream.random(len(query_of)) < 0.5
    student, teacher = (s * good + stream.normal(size=len(good)) for s in (1.0, gain))
    groups = [f"query {q}" for q in query_of]
    return HeldOutScores(fold, good, student, teacher, groups, unscored)


def make_shop() -> tuple[tuple[Pair, ...], FoldAssignment]:
    stream = np.random.default_rng(1)
    names = ["".join(stream.choice(list(LETTERS), 9)) for _ in range(40)]
    pairs = tuple(
        Pair(name, f"item {n}", (n + at) % 2 == 0)
        for at, name in enumerate(names)
        for n in range(6)
    )
    return pairs, assign_folds(pairs, folds=2)


def write_fold(
    folder: Path, pairs: Sequence[Pair], *, fold: int, gain: float, without: float | None = None
) -> None:
    """A fold's files: a student that guesses, a teacher that sees `gain` of the label."""
    stream = np.random.default_rng(fold)
    rows = [
        {"query": p.query, "item_id": p.item_id, "good": int(bool(p.good)), "logit": float(guess)}
        for p, guess in zip(pairs, stream.normal(size=len(pairs)), strict=True)
    ]
    (folder / "teacher").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "ce.parquet")
    for name, seen in (("judgements.parquet", gain), (WITHOUT_STUDENT, without)):
        if seen is not None:
            judged = [
                Judgement(
                    "j",
                    p.query,
                    p.item_id,
                    Target.DIRECT,
                    float(seen * bool(p.good) + noise),
                    "f",
                    held_out_of=f"outer-{fold}",
                )
                for p, noise in zip(pairs, stream.normal(size=len(pairs)), strict=True)
            ]
            write_judgements(folder / "teacher" / name, judged)


def written(tmp_path: Path, *, gain: float, without: float | None = None) -> list[str]:
    """A command line over both folds of a small shop."""
    pairs, assignment = make_shop()
    write_folds(tmp_path / "folds.parquet", assignment)
    words = ["gate", "--folds", str(tmp_path / "folds.parquet")]
    for fold in range(2):
        folder = tmp_path / str(fold)
        tested = split(assignment, pairs, fold=fold).test
        write_fold(folder, tested, fold=fold, gain=gain, without=without)
        words += ["--teacher", str(folder / "teacher"), "--student", str(folder / "ce.parquet")]
    return words


def invoke(words: Sequence[str]) -> str:
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_a_much_better_teacher_passes() -> None:
    result = compare({"teacher": [make_scores(gain=3.0)]}, of_folds=5)

    assert result.passes
    assert {row.measure for row in result.rows} == {"ROC-AUC", "Neg PR-AUC"}
    assert all(
        row.difference.value == pytest.approx(row.teacher - row.student) for row in result.rows
    )


@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_an_equal_or_worse_teacher_does_not_pass_and_says_why(gain: float) -> None:
    result = compare({"teacher": [make_scores(gain=gain)]}, of_folds=5)

    assert not result.passes
    assert any("ROC-AUC" in reason and "is not above 0" in reason for reason in result.reasons)


def test_a_teacher_better_only_through_its_student_does_not_pass() -> None:
    kinds = {"teacher": [make_scores(gain=3.0)], "alone": [make_scores(gain=1.0)]}

    result = compare(kinds, of_folds=5)

    assert not result.passes
    assert all(reason.startswith("alone") for reason in result.reasons)


def test_one_query_is_no_proof_however_clear() -> None:
    fold = make_scores(gain=9.0, queries=1)

    result = compare({"teacher": [fold]}, of_folds=5)

    assert not result.passes
    assert "too few" in result.reasons[0]


def test_the_same_fold_twice_is_refused() -> None:
    fold = make_scores(gain=2.0)

    with pytest.raises(BadInput, match="each fold once"):
        compare({"teacher": [fold, fold]}, of_folds=5)


def test_the_gate_opens_for_files_of_a_better_teacher(tmp_path: Path) -> None:
    out = tmp_path / "gate.json"

    said = invoke([*written(tmp_path, gain=4.0, without=4.0), "--out", str(out)])

    assert "the gate is open" in said
    assert "teacher without its student" in said
    content = json.loads(out.read_text())
    assert content["passes"] is True
    assert content["pairs"] == 240


def test_the_gate_refuses_and_names_the_way_round_it(tmp_path: Path) -> None:
    with pytest.raises(GateRefused, match="(?s)not above 0.*--allow-weak-teacher") as refusal:
        invoke(written(tmp_path, gain=0.0))

    assert refusal.value.exit_code == 4


def test_a_teacher_weak_without_its_student_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GateRefused, match="teacher without its student: ROC-AUC"):
        invoke(written(tmp_path, gain=4.0, without=0.0))


def test_a_weak_teacher_may_be_allowed_but_not_silently(tmp_path: Path) -> None:
    said = invoke([*written(tmp_path, gain=0.0), "--allow-weak-teacher"])

    assert "does not pass" in said
    assert "by --allow-weak-teacher alone" in said


def test_pairs_without_a_students_score_are_left_out_and_counted(tmp_path: Path) -> None:
    written(tmp_path, gain=4.0)
    pairs, assignment = make_shop()
    path = tmp_path / "0" / "ce.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[0]["logit"] = None
    pq.write_table(pa.Table.from_pylist(rows), path)

    found = read_held_out(
        path, tmp_path / "0" / "teacher" / "judgements.parquet", assignment, target=Target.DIRECT
    )

    assert found.unscored == 1
    assert len(found.good) == len(split(assignment, pairs, fold=0).test) - 1


def test_a_judge_that_was_not_held_out_is_refused(tmp_path: Path) -> None:
    written(tmp_path, gain=4.0)
    _, assignment = make_shop()
    path = tmp_path / "0" / "teacher" / "judgements.parquet"
    table = pq.read_table(path)
    at = table.column_names.index("held_out_of")
    seen = table.set_column(at, "held_out_of", pa.array(["seen"] * len(table)))
    pq.write_table(seen, path)

    with pytest.raises(BadInput, match="expected a judge held out of outer-0, got seen"):
        read_held_out(tmp_path / "0" / "ce.parquet", path, assignment, target=Target.DIRECT)


def test_a_pair_the_teacher_never_judged_is_named(tmp_path: Path) -> None:
    written(tmp_path, gain=4.0)
    _, assignment = make_shop()
    files = files_of(tmp_path / "1" / "teacher", tmp_path / "0" / "ce.parquet")

    with pytest.raises(BadInput, match="expected a judgement of the pair"):
        read_held_out(files.student, files.teacher, assignment, target=Target.DIRECT)


def test_scores_of_two_folds_in_one_file_are_refused(tmp_path: Path) -> None:
    written(tmp_path, gain=4.0)
    _, assignment = make_shop()
    both = pa.concat_tables(pq.read_table(tmp_path / f / "ce.parquet") for f in ("0", "1"))
    pq.write_table(both, tmp_path / "both.parquet")

    with pytest.raises(BadInput, match="expected the test pairs of one fold"):
        read_held_out(
            tmp_path / "both.parquet",
            tmp_path / "0" / "teacher" / "judgements.parquet",
            assignment,
            target=Target.DIRECT,
        )


def test_each_teacher_needs_its_student(tmp_path: Path) -> None:
    words = written(tmp_path, gain=4.0)

    with pytest.raises(BadInput, match="one --student for each --teacher"):
        invoke(words[:-2])
