"""Spelling variants: which are recognised, and that look-ups find all that comparing would."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relevance.variants import (
    TYPOS_UP_TO,
    VariantIndex,
    are_variants,
    edit_distance,
    group_variants,
    spelling,
)


@pytest.mark.parametrize(
    ("query", "variant"),
    [
        ("red shoes", "Red  Shoes"),
        ("red shoes", "shoes red"),
        ("red shoes", "red shoe"),
        ("women's shoes", "womens shoe"),
        ("women’s shoes", "womens shoe"),
        ("christmas dresses", "christmas dress"),
        ("strawberries box", "strawberry boxes"),
        ("air fryer", "airfryer"),
        ("t-shirt", "tshirts"),
        ("crème brûlée torch", "creme brulee torch"),
        ("wireless earbuds", "wirless earbuds"),  # left out
        ("wireless earbuds", "wireless earrbuds"),  # added
        ("wireless earbuds", "wirelesa earbuds"),  # changed
        ("wireless earbuds", "wierless earbuds"),  # swapped
        ("wireless earbuds", "wirelesss erabud"),  # two typos and a plural
        ("arm and hammer soap", "arm ad hamer soap"),
        ("cuisinart coffee maker", "cuinart coffee maker"),
        ("iphone 12 case", "12 iphone cases"),
        ("红色 保温杯", "红色保温杯"),
    ],
)
def test_a_spelling_variant_is_recognised(query, variant):
    assert are_variants(spelling(query), spelling(variant))
    assert query in VariantIndex([query]).variants(variant)


@pytest.mark.parametrize(
    ("query", "other"),
    [
        ("red shoes", "blue shoes"),
        ("iphone 12 case", "iphone 13 case"),  # digits are not typos
        ("12 inch lamp", "120 inch lamp"),
        ("lamp", "lamb"),  # too short for a typo
        ("leather mens boots", "leather womens boots"),
        ("grey running shoes", "green running shoes"),
        ("wireless earbuds", "wireles earbuzz pro"),
        ("red shoes", "red shoes for kids"),
        ("glass", "gas"),
        ("保温杯", "保温瓶"),
    ],
)
def test_another_query_is_not_taken_for_a_variant(query, other):
    assert not are_variants(spelling(query), spelling(other))
    assert not VariantIndex([query]).variants(other)


def distance_by_recursion(first, second):
    if not first or not second:
        return len(first) + len(second)
    rest = distance_by_recursion(first[1:], second[1:]) + (first[0] != second[0])
    found = min(
        rest,
        distance_by_recursion(first[1:], second) + 1,
        distance_by_recursion(first, second[1:]) + 1,
    )
    if len(first) > 1 and len(second) > 1 and first[:2] == second[1::-1]:
        found = min(found, distance_by_recursion(first[2:], second[2:]) + 1)
    return found


@given(st.text("abc", max_size=5), st.text("abc", max_size=5), st.integers(0, 6))
def test_the_edit_distance_agrees_with_its_definition(first, second, limit):
    expected = min(distance_by_recursion(first, second), limit + 1)

    assert edit_distance(first, second, limit=limit) == expected


@st.composite
def mistyped(draw: st.DrawFn) -> tuple[str, str]:
    """A text and what is left of it after up to three typos."""
    text = draw(st.text("abcd", min_size=3, max_size=18))
    typed = text
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(typed)))
        left, right = typed[:at], typed[at:]
        letter = draw(st.sampled_from("abcd"))
        typed = draw(
            st.sampled_from(
                [left + letter + right, left + right[1:], left + letter + right[1:]]
                + [left + right[1:2] + right[:1] + right[2:]]
            )
        )
    return text, typed


@settings(max_examples=400)
@given(mistyped())
def test_the_index_finds_a_query_exactly_where_comparing_does(case):
    text, typed = case

    found = text in VariantIndex([text]).variants(typed)

    assert found == are_variants(spelling(text), spelling(typed))


queries = st.lists(
    st.lists(st.sampled_from(["red", "reds", "shoe", "shoes", "sheo", "12", "t", "shirt"])).map(
        " ".join
    ),
    max_size=12,
)


@given(queries)
def test_groups_are_what_comparing_all_pairs_connects(found):
    group_of = group_variants(found)

    assert set(group_of) == set(found)
    for one, other in itertools.combinations(sorted(set(found)), 2):
        if are_variants(spelling(one), spelling(other)):
            assert group_of[one] == group_of[other]
    for query, group in group_of.items():
        assert group == min(q for q, g in group_of.items() if g == group)
        assert group == query or any(
            are_variants(spelling(query), spelling(member))
            for member, g in group_of.items()
            if g == group and member != query
        )


@given(queries, st.randoms())
def test_groups_do_not_depend_on_the_order_of_queries(found, random):
    shuffled = random.sample(found, len(found))

    assert group_variants(shuffled) == group_variants(found)


def test_a_long_text_is_compared_without_typos():
    long = "abcdefghij " * (TYPOS_UP_TO // 10 + 1)

    assert spelling(long).typos == 0
    assert VariantIndex([long]).variants(long.upper()) == {long}
    assert not VariantIndex([long]).variants(long + "x")


def test_ten_thousand_queries_are_grouped_without_comparing_them_all():
    words = ["".join(letters) for letters in itertools.permutations("aeioumnr", 5)]
    found = [f"{first} {second}" for first, second in itertools.pairwise(words[::3] * 5)]
    found = [f"{query} {at}" for at, query in enumerate(found)]

    group_of = group_variants(found)  # comparing all pairs would take many minutes

    assert len(set(group_of.values())) == len(found) > 10_000
