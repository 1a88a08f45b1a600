"""The English words: no value contradicts another, and words do what they promise."""

from random import Random

import pytest

from relevance.aspects import aspect_names
from relevance.sample_shop.vocabulary import Value, read_vocabulary
from relevance.sample_shop.wording import mentions, mistyped, plural, titled
from relevance.text import normalise

ENGLISH = read_vocabulary("english")


def test_every_facet_belongs_to_an_aspect_and_all_aspects_are_used() -> None:
    assert {facet.aspect for facet in ENGLISH.facets.values()} == set(aspect_names())


def test_every_named_neighbour_is_sold() -> None:
    for product in ENGLISH.products.values():
        assert set(product.siblings) <= set(ENGLISH.products)
        assert product.accessory_of is None or product.accessory_of in ENGLISH.products
        assert set(product.facets) <= set(ENGLISH.facets)


def test_every_kind_of_query_asks_for_known_facets() -> None:
    asked = {name for kind in ENGLISH.kinds for names in kind.ask for name in names}

    assert asked <= set(ENGLISH.facets)


def test_no_product_has_two_values_that_share_a_word() -> None:
    for product in ENGLISH.products.values():
        for facet, values in product.facets.items():
            words = [word.casefold() for value in values for word in value.words]
            assert len(words) == len(set(words)), (product.value.name, facet)


def test_all_words_are_normalised() -> None:
    values = [v for p in ENGLISH.products.values() for vs in p.facets.values() for v in vs]

    assert all(w == normalise(w) for value in values for w in (*value.words, *value.told))


def test_navy_serves_who_asks_for_blue_and_not_the_other_way_round() -> None:
    colours = {v.name: v for p in ENGLISH.products.values() for v in p.facets.get("color", ())}

    assert colours["navy"].serves(colours["blue"])
    assert not colours["blue"].serves(colours["navy"])


@pytest.mark.parametrize(
    ("phrase", "many"),
    [("bookshelf", "bookshelves"), ("sunglass", "sunglasses"), ("jeans", "jeans")],
)
def test_plurals_are_english(phrase: str, many: str) -> None:
    assert plural(phrase) == many


def test_a_slip_changes_a_long_word_only() -> None:
    assert mistyped("tv set", Random(0)) == "tv set"
    assert mistyped("red couch", Random(0)).startswith("red ")
    assert mistyped("red couch", Random(0)) != "red couch"


def test_headlines_keep_units_and_names() -> None:
    assert titled("case for iPhone 14, 6 ft") == "Case for iPhone 14, 6 ft"


def test_words_are_found_whole_with_their_plural() -> None:
    assert mentions("Two Glasses", ("glass",))
    assert not mentions("fiberglass", ("glass",))
    assert not mentions("124 oz", ("24 oz",))


def test_values_are_told_apart_by_name() -> None:
    assert Value("red", ("red",)) == Value("red", ("crimson",))
