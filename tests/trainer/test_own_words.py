"""Parts of texts: in order, within bounds, every text once an epoch, the same for a seed."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.domain import Item
from relevance.errors import BadInput
from relevance.item_text import ItemText
from relevance.records import Pair
from tests.trainer.make_students import TITLES, make_tokenizer
from trainer.own_words import OwnWords, own_words_steps, read_wholes, texts_of_pool
from trainer.recipes import Adaptation

TOKENIZER = make_tokenizer()
THINGS = ["red bottle green lamp blue shoe", "black desk", "white jacket red chair without straw"]


def wholes(texts=TITLES, length=12):
    return read_wholes(TOKENIZER, texts, length=length)


def is_part(part: list[str], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(word in rest for word in part)


@given(
    st.lists(st.sampled_from([" ".join(THINGS), *THINGS, *TITLES]), min_size=2, unique=True),
    st.integers(2, 5),
    st.integers(1, 6),
    st.integers(0, 99),
)
def test_every_text_comes_once_an_epoch_with_an_ordered_proper_part_of_its_words(
    texts, most, query_tokens, seed
):
    kind = wholes(texts, length=30)
    adaptation = Adaptation(steps=1, texts=most, query_tokens=query_tokens, seed=seed)
    steps = -(-len(kind) // most)

    drawn = list(islice(own_words_steps([kind], adaptation), steps))

    words_of = {whole.text.ids: whole.words for whole in kind}
    assert all(len(step) <= most for step in drawn)
    seen = [own.whole.ids for step in drawn for own in step]
    assert sorted(seen) == sorted(words_of)
    for own in (own for step in drawn for own in step):
        part, whole = own.words.split(), list(words_of[own.whole.ids])
        assert is_part(part, whole)
        assert 1 <= len(part) <= min(len(whole) - 1, query_tokens, max(1, round(0.4 * len(whole))))


def test_a_step_holds_one_kind_and_kinds_share_an_epoch():
    queries, items = wholes(TITLES[:10]), wholes(TITLES[10:])
    adaptation = Adaptation(steps=1, texts=5)

    drawn = list(islice(own_words_steps([queries, items], adaptation), 6))

    asked = {whole.text.ids for whole in queries}
    kinds = [{own.whole.ids in asked for own in step} for step in drawn]
    assert all(len(kind) == 1 for kind in kinds)
    assert sum(kind == {True} for kind in kinds) == 2


def test_a_seed_gives_the_same_words_and_another_seed_others():
    def first(seed: int) -> list[list[OwnWords]]:
        stream = own_words_steps([wholes(THINGS, 30)], Adaptation(steps=1, texts=2, seed=seed))
        return list(islice(stream, 6))

    assert first(0) == first(0)
    assert first(0) != first(1)


def test_words_that_are_cut_away_are_never_drawn():
    (long,) = wholes(["red bottle green lamp blue shoe"], length=3)

    assert long.text.truncated
    assert long.words == ("red", "bottle", "green")


def test_texts_of_a_single_word_and_texts_that_read_alike_are_left_out():
    found = wholes(["desk", "red desk", "RED desk", "red desk lamp"], length=2)

    assert [whole.words for whole in found] == [("red", "desk")]


def test_without_two_texts_of_a_kind_there_is_nothing_to_tell_apart():
    with pytest.raises(BadInput, match=r"texts: expected at least 2 of one kind .* got \[1, 0\]"):
        own_words_steps([wholes(["red desk"]), []], Adaptation(steps=1))


def test_a_pools_texts_are_its_queries_and_items_once_each_without_labels():
    catalogue = {"a": Item("a", "Oak  Desk", brand="Acme"), "b": Item("b", "Lamp")}
    pool = [Pair("Desk ", "a"), Pair("desk", "a", True), Pair("lamp", "b", False)]

    found = texts_of_pool(pool, catalogue, ItemText.TITLE_BRAND_COLOR)

    assert found.queries == ("Desk", "desk", "lamp")
    assert found.items == ("Oak Desk Acme", "Lamp")
    with pytest.raises(BadInput, match="pool: item `c` is not in the catalogue"):
        texts_of_pool([Pair("desk", "c")], catalogue, ItemText.TITLE)


def test_a_step_of_a_single_text_is_refused():
    with pytest.raises(BadInput, match="texts: expected at least 2 to tell apart in a step, got 1"):
        Adaptation(steps=1, texts=1)
