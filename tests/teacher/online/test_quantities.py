"""Quantities: numbers with units, compared across units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teacher.online.quantities import Quantity, QuantityFinder
from tests.teacher.make_teacher import lexicon

FINDER = QuantityFinder(lexicon().units, lexicon().counts)


def only(text: str) -> Quantity:
    (found,) = FINDER.find(text)
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("24 oz bottle", "bottle 710 ml"),
        ("16oz", "1 lb"),
        ("1/2 gallon", "64 fl oz"),
        ("6 ft cable", "cable, 183 cm"),
        ('24" monitor', "61 cm"),
        ("pack of 6", "6-count"),
        ("a pair of socks", "2 pieces"),
        ("1,500 ml", "1.5 l"),
        ("set of dozen", "12 pcs"),
        ("boots size 8.5", "Boots, 8.5 US"),
        ("保温杯500毫升", "500ml保温杯"),
        ("勺子 3个", "3 pieces"),
    ],
)
def test_the_same_amount_in_other_words_is_equal(one: str, other: str) -> None:
    assert only(one).equals(only(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("24 oz", "32 oz"), ("6 pack", "12 pack"), ("5 m", "5 ft"), ("size 8", "size 9")],
)
def test_other_amounts_are_comparable_but_not_equal(one: str, other: str) -> None:
    assert only(one).comparable(only(other))
    assert not only(one).equals(only(other))


def test_a_length_is_not_compared_with_a_volume() -> None:
    assert not only("5 cm").comparable(only("5 ml"))


@pytest.mark.parametrize("text", ["iphone 12", "wh1000m", "2nd generation", "a 1/0 g"])
def test_a_number_without_a_unit_is_no_quantity(text: str) -> None:
    assert all(q.text == "1/0 g" for q in FINDER.find(text))


@given(st.text(alphabet="0123456789/., -ozmlinckgpar\"'", max_size=30))
def test_a_quantity_reads_back_from_its_place(text: str) -> None:
    assert all(text[q.start : q.end] == q.text for q in FINDER.find(text))
