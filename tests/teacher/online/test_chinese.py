"""Chinese: a character is a word, terms are found by longest match, and verdicts follow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Item, Verdict
from relevance.text import is_unspaced as known_unspaced
from teacher.mine_lexicon import mine_lexicon
from teacher.online.item_reading import ItemReader
from teacher.online.matching import match
from teacher.online.query_reading import QueryReader
from teacher.online.words import is_unspaced

SHOP = tuple(
    Item(f"{n}", f"膳魔师{colour}保温杯500毫升 {n}", brand="膳魔师", category_path="厨房 > 保温杯")
    for n, colour in enumerate(("红色", "蓝色", "黑色") * 3)
)
LEXICON = mine_lexicon(SHOP)


def verdicts(query: str, title: str, **fields: str) -> set[tuple[str, str, Verdict]]:
    asked = QueryReader(LEXICON).read(query)
    found = match(asked, ItemReader(LEXICON).read(Item("i", title, **fields)), {})
    return {(g.finding.aspect, g.finding.asked, g.finding.verdict) for g in found}


@pytest.mark.parametrize(
    ("query", "title", "expected"),
    [
        ("红色保温杯", "膳魔师红色保温杯", ("color", "红色", Verdict.MATCH)),
        ("红色保温杯", "膳魔师蓝色保温杯", ("color", "红色", Verdict.MISMATCH)),
        ("红色保温杯", "不锈钢保温杯大容量", ("product", "保温杯", Verdict.MATCH)),
        ("膳魔师保温杯", "膳魔师保温杯", ("brand", "膳魔师", Verdict.MATCH)),
        ("女童加厚羽绒服", "羽绒服 男童 薄款", ("gender", "女童", Verdict.MISMATCH)),
        ("女童加厚羽绒服", "羽绒服 女童 加厚", ("product", "羽绒服", Verdict.MATCH)),
        ("500毫升杯子", "杯子 0.5升", ("other", "500毫升", Verdict.MATCH)),
        ("500毫升杯子", "杯子 350ml大号", ("other", "500毫升", Verdict.MISMATCH)),
        ("无糖饼干", "饼干 无糖", ("other", "无糖", Verdict.MATCH)),
        ("不带吸管水杯", "水杯 不带吸管", ("other", "不带吸管", Verdict.MATCH)),
        ("无线鼠标", "有线鼠标", ("style", "无线", Verdict.MISMATCH)),
    ],
)
def test_a_chinese_query_meets_an_item(
    query: str, title: str, expected: tuple[str, str, Verdict]
) -> None:
    assert expected in verdicts(query, title)


def test_what_no_lexicon_knows_is_asked_for_in_one_piece() -> None:
    asked = {ask.text for ask in QueryReader(LEXICON).read("哆啦梦红色").asks}

    assert asked == {"红色", "哆啦梦"}


@given(st.characters(codec="utf-8"))
def test_what_is_unspaced_is_unspaced_everywhere(character: str) -> None:
    if is_unspaced(character):
        assert known_unspaced(character) or not character.isalnum()


@pytest.mark.parametrize("character", ["红", "の", "ก", "々", "𠀀"])
def test_such_scripts_set_no_spaces(character: str) -> None:
    assert is_unspaced(character)
    assert known_unspaced(character)


@pytest.mark.parametrize("character", ["a", "é", "я", "7", "&", "한"])
def test_other_scripts_set_spaces(character: str) -> None:
    assert not is_unspaced(character)
