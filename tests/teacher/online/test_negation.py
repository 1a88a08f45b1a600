"""Negation: what a text says is not there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.text import normalise
from teacher.online.negation import Negations
from teacher.online.words import words
from tests.teacher.make_teacher import lexicon

NEGATIONS = Negations(lexicon().words)


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("water bottle without straw", {"straw"}),
        ("no sugar cookies for kids", {"sugar", "cookie"}),
        ("bpa free bottle", {"bpa"}),
        ("sugar-free gum", {"sugar"}),
        ("stemless wine glasses", {"stem"}),
        ("Headphones, case sold separately", {"case"}),
        ("drone, batteries not included", {"battery"}),
        ("without straw. With lid", {"straw"}),
        ("wireless stainless mouse", set()),
        ("free shipping", set()),
    ],
)
def test_what_is_denied_is_absent(text: str, absent: set[str]) -> None:
    assert set(NEGATIONS.absent(words(text))) == absent


def test_what_comes_with_an_item_is_included() -> None:
    assert NEGATIONS.included(words("Tumbler with lid, no straw")) == {"lid"}


@given(st.lists(st.sampled_from(["no", "without", "free", "lid", "for", "sold separately", "."])))
def test_scopes_never_overlap(pieces: list[str]) -> None:
    said = words(normalise(" ".join(pieces)))

    scopes = NEGATIONS.scopes(said)

    assert all(one.stop <= two.start for one, two in zip(scopes, scopes[1:], strict=False))
    assert all(0 <= scope.start < scope.stop <= len(said) for scope in scopes)
