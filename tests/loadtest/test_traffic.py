import json
from collections import Counter
from itertools import islice

import pytest

from loadtest.traffic import KINDS, NOBODY, Kind, Mixture, Traffic, only_score, requests
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


SHOP = Traffic({f"query {n}": 100 - n for n in range(80)}, [f"item-{n}" for n in range(300)])


def asked(mixture: Mixture, number: int = 2000) -> list:
    return list(islice(requests(SHOP, mixture, seed=3), number))


def test_kinds_come_as_often_as_their_shares_say() -> None:
    found = Counter(request.kind for request in asked(Mixture()))

    for kind in KINDS:
        assert found[kind.name] / 2000 == pytest.approx(kind.share, abs=0.04)


def test_every_kind_has_its_candidates_and_a_body_of_its_route() -> None:
    bodies = {request.kind: json.loads(request.body) for request in asked(Mixture())}

    assert len(bodies["score 1000"]["item_ids"]) == 1000
    assert [len(one["item_ids"]) for one in bodies["batch 4 x 100"]["requests"]] == [100] * 4
    assert bodies["search"].keys() == {"query", "top_k"}
    assert bodies["explain"].keys() == {"query", "item_id"}


def test_the_same_seed_makes_the_same_requests() -> None:
    assert asked(Mixture(), 50) == asked(Mixture(), 50)


def test_at_a_hit_rate_of_none_no_query_is_asked_twice() -> None:
    queries = [json.loads(request.body)["query"] for request in asked(only_score(5))]

    assert len(set(queries)) == len(queries)


def test_warm_queries_come_as_often_as_the_hit_rate_says_in_a_mixture() -> None:
    queries = [json.loads(one.body)["query"] for one in asked(only_score(5, hit_rate=0.8))]

    repeated = sum(count for count in Counter(queries).values() if count > 1)
    assert repeated / len(queries) == pytest.approx(0.8, abs=0.05)


def test_as_many_ids_are_unknown_as_asked_and_none_of_a_single_item() -> None:
    mixture = Mixture((Kind("s", "/score", 0.5, 20), Kind("e", "/explain", 0.5, 1)), missing=0.3)
    some = asked(mixture)

    listed = [i for r in some if r.kind == "s" for i in json.loads(r.body)["item_ids"]]
    assert sum(i.startswith(NOBODY) for i in listed) / len(listed) == pytest.approx(0.3, abs=0.03)
    assert not any(NOBODY in r.body.decode() for r in some if r.kind == "e")


def test_a_kind_nobody_knows_is_refused_by_name() -> None:
    assert [kind.name for kind in Mixture().only("search").kinds] == ["search"]
    with pytest.raises(BadInput, match="score 10, .*; got scroe"):
        Mixture().only("scroe")
