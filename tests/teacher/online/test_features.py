"""Features: a fixed list that holds nothing a judge must not look at."""

import inspect

import numpy as np
import pytest

from relevance.domain import Item
from teacher.online import features, item_reading
from teacher.online.catalogue import CatalogueJudge
from teacher.online.features import FAMILIES, QUERY_ALONE, feature_names, signs
from teacher.online.pair_reading import PairReader
from tests.teacher.make_teacher import lexicon, make_item

READER = PairReader(lexicon())
EVERY_FEATURE = feature_names(tuple(FAMILIES))


def vector(query: str, item: Item) -> np.ndarray:
    return READER.read(query, item).features


def test_every_feature_has_one_name_and_one_sign() -> None:
    assert len(set(EVERY_FEATURE)) == len(EVERY_FEATURE) == len(signs(tuple(FAMILIES)))
    assert set(signs(tuple(FAMILIES))) <= {-1, 0, 1}


def test_a_pair_has_a_number_for_every_feature() -> None:
    found = vector("red water bottle", make_item("Blue Bottle"))

    assert found.shape == (len(EVERY_FEATURE),)
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    "word", ["subset", "source", "rating", "price", "item_id", "row", "label", "has_", "_empty"]
)
def test_no_feature_is_named_for_what_is_forbidden(word: str) -> None:
    assert not [name for name in EVERY_FEATURE if word in name]


@pytest.mark.parametrize("word", ["subset", "query_source", "rating", "good", "row"])
def test_nothing_that_makes_features_speaks_of_what_is_forbidden(word: str) -> None:
    code = inspect.getsource(item_reading) + inspect.getsource(features.features)

    assert f".{word}" not in code


def test_an_items_id_changes_no_feature() -> None:
    one, other = Item("1", "Red Bottle", brand="Norvane"), Item("2", "Red Bottle", brand="Norvane")

    assert (vector("red bottle", one) == vector("red bottle", other)).all()


def test_an_empty_field_is_no_feature_of_its_own() -> None:
    bare = vector("qwxz", make_item("Bottle"))

    for field in ("brand", "color", "description", "bullet_points"):
        filled = vector("qwxz", make_item("Bottle", **{field: "Plurk"}))
        assert (bare == filled).all(), field


def test_no_judge_reads_what_all_items_of_a_query_share(judge: CatalogueJudge) -> None:
    items = [
        make_item("Norvane Water Bottle, Red, 710 ml, no lid", brand="Norvane", color="Red"),
        make_item("Case for Water Bottle", category_path="Kitchen > Drinkware > Water Bottles"),
        make_item("Qwxz", bullet_points="With lid."),
    ]

    vectors = np.stack([vector("norvane red water bottle without lid", item) for item in items])

    alone = [EVERY_FEATURE.index(name) for name in QUERY_ALONE]
    assert (vectors[:, alone] == vectors[0, alone]).all()
    for head in judge.weights.heads:
        assert set(EVERY_FEATURE) - set(head.inputs.names) == set(QUERY_ALONE)
