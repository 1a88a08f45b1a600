"""Extraction is held against human annotations, and against a plain dictionary."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from relevance.errors import BadInput
from teacher.annotated_titles import AnnotatedTitle
from teacher.measures.extraction import F1, compare_extraction, read_titles
from teacher.online.title_values import TitleReader
from tests.teacher.make_teacher import lexicon


def written(path: Path, **attributes: list[str]) -> Path:
    row = {
        "item_id": "1",
        "title": "Acme Dark Roast  Coffee, 12 oz",
        "attributes_json": json.dumps(attributes),
        "split": "train",
    }
    pq.write_table(pa.Table.from_pylist([row]), path)
    return path


def test_attributes_come_under_their_aspects(tmp_path: Path) -> None:
    path = written(
        tmp_path / "t.parquet", **{"Brand": ["Acme"], "Roast type": ["Dark Roast"], "Scent": ["x"]}
    )

    (title,) = read_titles(path)["train"]

    assert title.title == "Acme Dark Roast Coffee, 12 oz"
    assert title.values == {"brand": ("Acme",), "style": ("Dark Roast", "x")}


def test_an_attribute_nobody_mapped_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="got `Vibe`"):
        read_titles(written(tmp_path / "t.parquet", Vibe=["calm"]))


def test_scores_count_values_not_titles() -> None:
    score = F1(right=2, predicted=4, annotated=3)

    assert (score.precision, score.recall) == (0.5, pytest.approx(2 / 3))
    assert score.value == pytest.approx(2 * 0.5 * (2 / 3) / (0.5 + 2 / 3))
    assert F1(0, 0, 0).value == 0


def test_both_sides_learn_from_the_training_titles_alone() -> None:
    train = [
        AnnotatedTitle(f"{n}", f"Acme Tea {n}, Red", {"brand": ("Acme",), "color": ("Red",)})
        for n in range(10)
    ]
    test = [
        AnnotatedTitle("t", "Acme Cup, 24 oz, blue", {"brand": ("Acme",), "color": ("blue",)}),
        AnnotatedTitle("u", "Zorbex Cup, red", {"brand": ("Zorbex",), "color": ("red",)}),
    ]

    scored = compare_extraction(train, test)

    assert scored["exact dictionary"]["brand"] == F1(1, 1, 2)
    assert scored["exact dictionary"]["color"] == F1(1, 1, 2)
    assert scored["terms"]["color"] == F1(2, 2, 2)
    assert scored["terms"]["brand"] == F1(1, 2, 2)  # "Zorbex Cup": where it ends nobody knows
    assert scored["ours"]["brand"] == F1(2, 2, 2)  # but marks say that a brand is one word here


def test_a_title_says_each_value_in_its_own_words() -> None:
    said = TitleReader(lexicon()).values("Norvane Water Bottles, Crimson, 24oz, for ages 8+")

    assert said["brand"] == ["Norvane"]
    assert said["product"] == ["Water Bottles"]
    assert said["color"] == ["Crimson"]
    assert said["other"] == ["24oz"]
    assert "ages 8+" in said["age"]


def test_an_unknown_name_that_opens_the_title_is_its_brand() -> None:
    reader = TitleReader(lexicon())

    assert reader.values("Zorbex Quell Water Bottle")["brand"] == ["Zorbex Quell"]
    assert "brand" not in reader.values("insulated Water Bottle")
    assert reader.values("") == {}
