"""Mining: what a catalogue teaches, and what it must not learn."""

from pathlib import Path

from relevance.domain import Item
from teacher.mine_lexicon import mine_lexicon
from teacher.online.lexicon import read_lexicon, write_lexicon
from tests.teacher.make_teacher import BRANDS, catalogue, lexicon, make_item


def test_brands_products_and_attribute_values_are_mined() -> None:
    known = lexicon()

    assert set(known.terms["brand"]) == {brand.lower() for brand in BRANDS}
    assert set(known.terms["product"]) == {"water bottle", "backpack", "desk lamp", "running shoe"}
    assert known.terms["other"]["zipper"] == "closure=zipper"


def test_a_brand_named_like_an_everyday_word_is_no_brand_term() -> None:
    everyday = [Item(f"{n}", "Touch screen lamp", brand="Norvane") for n in range(5)]

    known = lexicon(Item("t", "A lamp", brand="Touch"), *everyday)

    assert "touch" not in known.terms["brand"]


def test_a_brands_first_word_stands_for_it_where_it_says_nothing_else() -> None:
    feeders = [Item(f"f{n}", f"Muse Garden Feeder {n}", brand="Muse Garden") for n in range(3)]
    everyday = [Item(f"w{n}", f"Water lamp {n}") for n in range(9)]
    waters = [Item(f"v{n}", f"Water Lily lamp {n}", brand="Water Lily") for n in range(2)]

    known = lexicon(*feeders, *everyday, *waters)

    assert known.terms["brand"]["muse"] == "muse"
    assert "water" not in known.terms["brand"]


def test_curated_words_keep_their_meaning() -> None:
    known = lexicon(Item("r", "Lamp", brand="Red"), Item("s", "Lamp, Red", brand="Red"))

    assert "red" not in known.terms["brand"]
    assert known.terms["color"]["red"] == "red"


def test_rare_words_weigh_more_than_common_ones() -> None:
    known = lexicon()

    assert known.idf("plurk") > known.idf("backpack") > known.idf("ml")


def test_a_title_and_a_category_that_name_one_item_make_kin() -> None:
    sofas = [
        Item(f"s{n}", f"Couch {n}" if n % 2 else f"Sofa {n}", category_path=f"Home > {kind}")
        for n in range(12)
        for kind in ["Sofa" if n % 4 < 3 else "Couch"]
    ]

    known = lexicon(*sofas)

    assert known.kin["couch"]["sofa"] == known.kin["sofa"]["couch"] > 0


def test_the_order_of_items_changes_nothing() -> None:
    assert mine_lexicon(catalogue()) == mine_lexicon(catalogue()[::-1])


def test_a_lexicon_reads_back_as_it_was_written(tmp_path: Path) -> None:
    known = lexicon(make_item("Ärmel — 24 oz"))

    write_lexicon(tmp_path, known)

    assert read_lexicon(tmp_path) == known
