import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relevance.experiments.assignment import chosen, place
from relevance.experiments.sample_ratio import chi_square_tail

PINNED = {"shopper-1": 0.42314529808136014, "红色水瓶": 0.009664061564881976}
KEYS = [f"shopper-{at}" for at in range(20_000)]


def chi_square(observed: np.ndarray, expected: np.ndarray) -> float:
    return float(((observed - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("salt", ["one", "two", "new-student/2026-11", "…"])
def test_places_are_uniform(salt) -> None:
    """Twenty equal bins of 20,000 keys, at p > 0.001 for salts fixed beforehand."""
    counts = np.histogram([place(key, salt=salt) for key in KEYS], bins=20, range=(0, 1))[0]

    assert chi_square_tail(chi_square(counts, np.full(20, 1000.0)), freedom=19) > 0.001


@pytest.mark.parametrize(("first", "second"), [("one", "two"), ("a/1", "a/2"), ("x", "xx")])
def test_two_salts_assign_independently(first, second) -> None:
    """A four by four table of where the same keys fall under two salts."""
    table = np.zeros((4, 4))
    for key in KEYS:
        table[int(4 * place(key, salt=first)), int(4 * place(key, salt=second))] += 1

    expected = table.sum(1, keepdims=True) * table.sum(0, keepdims=True) / table.sum()

    assert chi_square_tail(chi_square(table, expected), freedom=9) > 0.001


def test_the_chi_square_test_sees_keys_that_are_not_spread() -> None:
    """The check above can fail: salts that are ignored give a diagonal table."""
    table = np.diag([5000.0] * 4)

    assert chi_square_tail(chi_square(table, np.full((4, 4), 1250.0)), freedom=9) < 1e-12


def test_places_stay_as_they_are_for_ever() -> None:
    """A key must not change its variant when the software is updated."""
    assert {key: place(key, salt="one") for key in PINNED} == PINNED


@given(key=st.text(), salt=st.text(), percents=st.lists(st.floats(0.1, 25), max_size=4))
def test_a_key_always_falls_into_the_same_share(key, salt, percents) -> None:
    found = chosen(key, salt=salt, percents=percents)

    assert found == chosen(key, salt=salt, percents=percents)
    ends = np.cumsum(percents)
    at = 100 * place(key, salt=salt)
    expected = int(np.searchsorted(ends, at, side="right"))
    assert found == (expected if expected < len(percents) else None)


@given(key=st.text(), salt=st.text(), more=st.floats(1, 50))
def test_a_growing_share_keeps_the_keys_it_has(key, salt, more) -> None:
    """Raising the last percentage moves nobody who was in."""
    before = chosen(key, salt=salt, percents=(30, 20))
    after = chosen(key, salt=salt, percents=(30, 20 + more))

    assert before is None or before == after
