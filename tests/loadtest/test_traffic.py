from itertools import islice

import pytest

from loadtest.traffic import Traffic
from relevance.errors import BadInput


def test_the_same_seed_asks_the_same_questions() -> None:
    traffic = Traffic({"desk": 5, "lamp": 1}, ["a", "b", "c"])

    first = list(islice(traffic.calls(candidates=2, seed=7), 20))
    again = list(islice(traffic.calls(candidates=2, seed=7), 20))

    assert first == again


def test_head_queries_come_as_often_as_their_visitors_say() -> None:
    traffic = Traffic({"desk": 90, "lamp": 10, "never": 0}, ["a"])

    asked = [call.query for call in islice(traffic.calls(candidates=1, seed=0), 2000)]

    assert 0.87 < asked.count("desk") / len(asked) < 0.93
    assert "never" not in asked


def test_candidates_are_distinct_and_at_most_the_catalogue() -> None:
    traffic = Traffic({"desk": 1}, ["a", "b", "c"])

    call = next(traffic.calls(candidates=10, seed=0))

    assert sorted(call.item_ids) == ["a", "b", "c"]


def test_traffic_without_anybody_asking_is_refused() -> None:
    with pytest.raises(BadInput, match="at least one item and one query"):
        Traffic({"desk": 0}, ["a"])
