"""Matching: verdicts in the words a shopper would use."""

import pytest

from relevance.domain import Label, Relevance, Side, Verdict
from teacher.online.grounding import Grounded, evidence
from teacher.online.matching import match
from tests.teacher.make_teacher import make_item, read_item, read_query

MATCH, MISMATCH, MISSING = Verdict.MATCH, Verdict.MISMATCH, Verdict.MISSING


def findings(query: str, title: str, **fields: object) -> tuple[Grounded, ...]:
    return match(read_query(query), read_item(make_item(title, **fields)), {})


def verdicts(query: str, title: str, **fields: object) -> set[tuple[str, str, Verdict]]:
    found = (one.finding for one in findings(query, title, **fields))
    return {(f.aspect, f.asked, f.verdict) for f in found}


@pytest.mark.parametrize(
    ("query", "title", "fields", "expected"),
    [
        ("red backpack", "Backpack, Crimson", {}, ("color", "red", MATCH)),
        ("red backpack", "Backpack", {"color": "Scarlet"}, ("color", "red", MATCH)),
        ("red backpack", "Backpack, Blue", {}, ("color", "red", MISMATCH)),
        ("red backpack", "Backpack", {}, ("color", "red", MISSING)),
        ("red or blue backpack", "Backpack, Navy", {}, ("color", "red, blue", MATCH)),
        ("green backpack", "Mint Backpack", {}, ("color", "green", MISSING)),
        ("green backpack", "Backpack", {"color": "Mint"}, ("color", "green", MATCH)),
        ("norvane lamp", "Desk Lamp", {"brand": "Norvane"}, ("brand", "norvane", MATCH)),
        ("norvane lamp", "Desk Lamp", {"brand": "Tuskar"}, ("brand", "norvane", MISMATCH)),
        ("norvane lamp", "Desk Lamp", {}, ("brand", "norvane", MISSING)),
        ("24 oz bottle", "Bottle 710 ml", {}, ("other", "24 oz", MATCH)),
        ("24 oz bottle", "Bottle 32 oz", {}, ("other", "24 oz", MISMATCH)),
        ("24 oz bottle", "Bottle", {"description": "24 ounces"}, ("other", "24 oz", MATCH)),
        ("6 pack socks", "Socks, pack of 6", {}, ("set_or_single", "6 pack", MATCH)),
        ("6 pack socks", "Socks, pack of 3", {}, ("set_or_single", "6 pack", MISMATCH)),
        ("shoe without laces", "Shoe, no laces", {}, ("other", "without laces", MATCH)),
        ("shoe without laces", "Shoe with Laces", {}, ("other", "without laces", MISMATCH)),
        ("shoe without laces", "Shoe", {}, ("other", "without laces", MISSING)),
        ("kit without led lamp", "Kit, LED Nail Lamp", {}, ("other", "without led lamp", MISMATCH)),
        ("kit without led lamp", "Kit for a Lamp", {}, ("other", "without led lamp", MISSING)),
        ("glass without stem", "Stemless Glass", {}, ("other", "without stem", MATCH)),
        ("tumbler with lid", "Tumbler, no lid", {}, ("other", "lid", MISMATCH)),
        ("mens shoe", "Women's Shoe", {}, ("gender", "mens", MISMATCH)),
        ("mens shoe", "Unisex Shoe", {}, ("gender", "mens", MATCH)),
        ("leather shoe", "Shoe", {"description": "Suede."}, ("material", "leather", MATCH)),
        ("airpods 2", "Airpods 3", {}, ("model_number", "2", MISMATCH)),
        ("airpods 2", "Airpods 2", {}, ("model_number", "2", MATCH)),
        ("250cc motorcycle", "Motorcycle 125cc", {}, ("model_number", "250cc", MISMATCH)),
        ("250cc motorcycle", "Motorcycle 250cc", {}, ("model_number", "250cc", MATCH)),
        ("wh1000 headphones", "Headphones 125cc", {}, ("model_number", "wh1000", MISSING)),
        ("wireless mouse", "Wired Mouse", {}, ("style", "wireless", MISMATCH)),
        ("water bottle", "Backpack", {}, ("product", "water bottle", MISMATCH)),
        ("rucksack", "Norvane Backpack", {}, ("product", "rucksack", MATCH)),
        ("desklamp", "Desk Lamp", {}, ("product", "desklamp", MATCH)),
        ("toys for 3 year old", "Rattle for babies", {}, ("age", "3 year old", MISMATCH)),
        ("kids shoe", "Shoe, ages 5-8", {}, ("age", "kids", MATCH)),
        ("u.s. flag", "US Flag", {}, ("other", "u.s.", MATCH)),
        ("non stick pan", "Pan, nonstick", {}, ("product", "pan", MATCH)),
        ("water bottle", "Insulated Bottle", {}, ("product", "water bottle", MATCH)),
        ("shoe", "Bag", {"description": "Fits a shoe."}, ("product", "shoe", MISSING)),
        (
            "zipper backpack",
            "Backpack",
            {"attributes": (("Closure", "Buttons"),)},
            ("other", "zipper", MISMATCH),
        ),
    ],
)
def test_a_query_meets_an_item(
    query: str, title: str, fields: dict[str, object], expected: tuple[str, str, Verdict]
) -> None:
    assert expected in verdicts(query, title, **fields)


def test_a_case_for_an_iphone_is_no_iphone() -> None:
    found = verdicts("iphone", "Leather Case for iPhone")

    assert ("main_or_accessory", "main item", MISMATCH) in found


def test_a_case_for_an_iphone_is_a_case_for_an_iphone() -> None:
    found = verdicts("case for iphone", "Leather Case for iPhone")

    assert ("product", "case", MATCH) in found
    assert ("main_or_accessory", "case", MATCH) in found


@pytest.mark.parametrize(
    ("title", "fields"),
    [
        ("Airpods 2 Case Cover with Keychain", {}),
        ("Silicone shell, Airpods 2", {"category_path": "Electronics > Earbuds > Cases"}),
    ],
)
def test_an_accessory_named_for_the_thing_is_not_the_thing(
    title: str, fields: dict[str, object]
) -> None:
    found = verdicts("airpods 2", title, **fields)

    assert ("main_or_accessory", "main item", MISMATCH) in found


def test_the_thing_with_its_accessory_is_the_thing() -> None:
    fields = {"category_path": "Electronics > Earbuds & Accessories > Earbuds"}

    found = verdicts("airpods 2", "Airpods 2 with Charging Case", **fields)

    assert not any(aspect == "main_or_accessory" for aspect, _, _ in found)


def test_the_very_thing_in_an_unlikely_department_is_still_the_thing() -> None:
    fields = {"category_path": "Kitchen > Drinkware > Water Bottles"}

    assert ("product", "backpack", MATCH) in verdicts("red backpack", "Red Backpack", **fields)
    for title, category_is_told in (("Red Backpack", False), ("Red Bottle", True)):
        found = findings("red backpack", title, **fields)
        mismatching = {g.finding.aspect for g in found if g.finding.verdict is MISMATCH}
        assert ("category" in mismatching) is category_is_told


def test_a_shoe_for_women_is_no_accessory_of_women() -> None:
    assert not any(
        one.finding.aspect == "main_or_accessory"
        for one in findings("shoe women", "Shoe for Women")
    )


def test_what_is_sold_separately_is_not_offered() -> None:
    assert ("product", "case", MATCH) not in verdicts("case", "Headphones, case sold separately")


def test_kinds_of_goods_that_shops_call_one_by_the_other_match() -> None:
    query, item = read_query("water bottle"), read_item(make_item("Norvane Backpack"))

    kin = {"water bottle": {"backpack": 0.5}}

    (product,) = (g for g in match(query, item, kin) if g.finding.aspect == "product")
    assert product.finding.verdict is MATCH


@pytest.mark.parametrize("nothing", ["(not stated)", " ", "\u200b"])
def test_a_field_that_says_nothing_contradicts_nothing(nothing: str) -> None:
    fields = {"brand": nothing, "color": nothing, "attributes": (("Closure", nothing),)}

    found = verdicts("red norvane backpack zipper", "Bag", **fields)

    assert {aspect for aspect, _, verdict in found if verdict is MISMATCH} <= {"product"}


def test_spans_say_what_the_verdicts_say() -> None:
    title = "Tuskar Backpack, Blue"

    spans = evidence(findings("red backpack", title), Label.BAD)

    said = {(s.side, title[s.start : s.end], s.relevance) for s in spans if s.side is Side.TITLE}
    assert said == {
        (Side.TITLE, "Backpack", Relevance.RELEVANT),
        (Side.TITLE, "Blue", Relevance.IRRELEVANT),
    }


def test_silence_is_evidence_only_against_a_bad_pair() -> None:
    found = findings("red backpack", "Backpack")

    of_color = {
        label: [s for s in evidence(found, label) if s.aspect == "color"] for label in Label
    }

    assert of_color[Label.GOOD] == []
    assert [(s.side, s.relevance) for s in of_color[Label.BAD]] == [
        (Side.QUERY, Relevance.IRRELEVANT)
    ]
