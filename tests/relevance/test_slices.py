"""Slices: which queries ask for something to be absent."""

import pytest

from relevance.slices import negates


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("tumbler without straw", True),
        ("sugar-free gum", True),
        ("NON slip mat", True),
        ("notebook", False),  # a word that only begins like one
        ("freezer bags", False),
        ("", False),
    ],
)
def test_a_query_negates_by_a_whole_word(query, expected):
    assert negates(query) is expected
