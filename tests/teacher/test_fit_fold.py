"""Fitting a fold: what is held out stays out, and every labelled pair is judged once."""

from dataclasses import replace
from pathlib import Path

import pytest

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.folds import split
from relevance.records import Pair
from teacher.fit_fold import OTHER_FORM, USUAL_FORM, Form, fit_fold
from teacher.online.catalogue import CatalogueJudge
from teacher.online.signals import Signals
from teacher.signal_files import SignalTable
from tests.teacher.make_teacher import fold_data, signals_of


def test_a_test_items_brand_never_enters_the_lexicon(tmp_path: Path) -> None:
    data = fold_data()
    tested = split(data.assignment, data.pairs, fold=data.fold).test[0].query
    planted = Item("planted", "Zyxomat Backpack zyxoword", brand="Zyxomat", color="Zyxotint")
    twin = replace(planted, item_id="twin")
    pairs = (*data.pairs, Pair(tested, "planted", False), Pair(tested, "twin", False))
    items = {**data.items, "planted": planted, "twin": twin}

    fit_fold(replace(data, items=items, pairs=pairs), tmp_path)

    assert "zyxo" not in (tmp_path / "lexicon.json").read_text().lower()
    assert "Norvane".lower() in (tmp_path / "lexicon.json").read_text()


def test_a_catch_that_works_catches_an_item_that_is_not_held_out(tmp_path: Path) -> None:
    data = fold_data()
    planted = {name: Item(name, "Zyxomat Backpack", brand="Zyxomat") for name in ("one", "two")}

    fit_fold(replace(data, items={**data.items, **planted}), tmp_path)

    assert "zyxomat" in (tmp_path / "lexicon.json").read_text()


@pytest.mark.parametrize(("clearly", "form"), [(-1.0, OTHER_FORM), (1.0, USUAL_FORM)])
def test_heads_read_the_querys_own_numbers_only_where_held_out_pairs_clearly_gain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clearly: float, form: Form
) -> None:
    monkeypatch.setattr("teacher.fit_fold.CLEARLY", clearly)

    fit_fold(fold_data(), tmp_path)

    heads = CatalogueJudge.read(tmp_path).weights.heads
    assert {head.inputs.left_out for head in heads} == {form.left_out}


def test_turning_test_labels_over_changes_nothing(tmp_path: Path) -> None:
    data = fold_data()
    parts = split(data.assignment, data.pairs, fold=data.fold)
    unseen = {(p.query, p.item_id) for p in (*parts.test, *parts.validation)}
    turned = tuple(
        replace(p, good=not p.good) if (p.query, p.item_id) in unseen else p for p in data.pairs
    )

    fit_fold(data, tmp_path / "one")
    fit_fold(replace(data, pairs=turned), tmp_path / "two")

    for name in ("lexicon.json", "judge.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_every_labelled_pair_is_judged_once_and_says_by_whom(tmp_path: Path) -> None:
    data = fold_data(fold=1)

    judged = fit_fold(data, tmp_path).judged

    every = (*judged.train, *judged.validation, *judged.test)
    assert sorted((j.query, j.item_id) for j in every) == sorted(
        (p.query, p.item_id) for p in data.pairs
    )
    assert {j.held_out_of for j in judged.train} <= {f"inner-{n}" for n in range(5)}
    assert {j.held_out_of for j in (*judged.validation, *judged.test)} == {"outer-1"}


def test_test_pairs_are_judged_as_the_written_judge_does(tmp_path: Path) -> None:
    data = fold_data()

    judged = fit_fold(data, tmp_path).judged

    judge = CatalogueJudge.read(tmp_path)
    for judgement in judged.test:
        again = judge.judge(judgement.query, data.items[judgement.item_id])
        assert replace(again, held_out_of="outer-0") == judgement


def test_similarities_are_used_where_they_are_given(tmp_path: Path) -> None:
    data = fold_data()
    some = {
        (p.query, p.item_id): Signals({"cosine": 0.9 if p.good else 0.1})
        for p in data.pairs[: 3 * len(data.pairs) // 4]
    }

    fit_fold(replace(data, signals=SignalTable(("cosine",), (), some)), tmp_path)

    judge, item = CatalogueJudge.read(tmp_path), next(iter(data.items.values()))
    near, far = (judge.contributions("lamp", item, Signals({"cosine": c})) for c in (0.9, 0.1))
    assert near["similarity"] > far["similarity"]


def test_judgements_without_the_student_read_no_student(tmp_path: Path) -> None:
    data = fold_data()
    seen = signals_of(data.pairs)
    unseen = SignalTable(
        seen.similarities, (), {k: Signals(s.similarities) for k, s in seen.rows.items()}
    )

    with_student = fit_fold(replace(data, signals=seen), tmp_path / "with")
    never = fit_fold(replace(data, signals=unseen), tmp_path / "without")

    alone = with_student.without_student
    assert alone is not None
    assert never.without_student is None
    assert alone != with_student.judged
    assert [j.log_odds for part in alone.parts.values() for j in part] == [
        j.log_odds for part in never.judged.parts.values() for j in part
    ]


def test_a_family_can_be_left_out(tmp_path: Path) -> None:
    fit_fold(fold_data(), tmp_path, without=frozenset({"aspects"}))

    assert "aspects" not in CatalogueJudge.read(tmp_path).weights.heads[-1].inputs.families


def test_leaving_out_what_is_no_family_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        BadInput, match=r"expected some of agreement, .*student.* got \['ratings'\]"
    ):
        fit_fold(fold_data(), tmp_path, without=frozenset({"ratings"}))


def test_a_pair_whose_item_is_unknown_is_named(tmp_path: Path) -> None:
    data = fold_data()
    lost = split(data.assignment, data.pairs, fold=data.fold).train[0].item_id
    items = {item_id: item for item_id, item in data.items.items() if item_id != lost}

    with pytest.raises(BadInput, match="no such item"):
        fit_fold(replace(data, items=items), tmp_path)
