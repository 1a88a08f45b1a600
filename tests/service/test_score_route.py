from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service.fakes import StandingService
from service.limits import Limits
from service.wire import BatchColumnsReply, BatchReply, ColumnsReply, ErrorReply, ScoreReply
from tests.service.conftest import CATALOGUE, FEW
from tests.service.make_app import ForgetfulStore, make_client

QUERY = "red water bottle"
IDS = [item.item_id for item in CATALOGUE]
SOME = IDS[:40]
SENT_ALONG = [
    {"id": i.item_id, "title": i.title, "brand": i.brand, "color": i.color} for i in CATALOGUE
]
MSGPACK = {"content-type": "application/msgpack"}


@pytest.fixture(scope="module")
def service(snapshot) -> StandingService:
    return StandingService(snapshot)


@pytest.fixture(scope="module")
def client(service) -> TestClient:
    return make_client(service)


def score(client: TestClient, **body) -> dict:
    reply = client.post("/score", json={"query": QUERY, **body})
    assert reply.status_code == 200, reply.text
    msgspec.json.decode(
        reply.content, type=ColumnsReply if body.get("format") == "columns" else ScoreReply
    )
    return reply.json()


def batch(client: TestClient, *requests: dict, **options) -> dict:
    reply = client.post("/score/batch", json={"requests": requests, **options})
    assert reply.status_code == 200, reply.text
    columns = options.get("format") == "columns"
    msgspec.json.decode(reply.content, type=BatchColumnsReply if columns else BatchReply)
    return reply.json()


def code_of(reply) -> tuple[int, str]:
    return reply.status_code, msgspec.json.decode(reply.content, type=ErrorReply).error.code


def by_index(reply: dict) -> dict[int, dict]:
    return {row["index"]: row for row in reply["results"]}


@pytest.fixture(scope="module")
def alone(client) -> dict[str, dict]:
    return {i: score(client, item_ids=[i])["results"][0] for i in [*SOME, "unknown"]}


@FEW
@given(asked=st.lists(st.sampled_from([*SOME, "unknown"]), min_size=1, max_size=60))
def test_a_score_does_not_depend_on_the_other_candidates_or_on_the_cache(
    client, alone, asked
) -> None:
    inline = [SENT_ALONG[IDS.index(i)] for i in asked if i != "unknown"]

    rows = by_index(score(client, item_ids=asked, items=inline))

    for at, item_id in enumerate(asked):
        assert rows[at] == {**alone[item_id], "index": at}
    for at, item in enumerate(inline, start=len(asked)):
        cached = alone[item["id"]]
        assert rows[at]["score"] == cached["score"]
        assert rows[at]["truncated"] == cached["truncated"]
        assert rows[at]["status"] == ("no_text" if cached["score"] is None else "encoded")


@FEW
@given(asked=st.lists(st.sampled_from([*IDS, "unknown"]), min_size=1), top_n=st.integers(1, 9))
def test_results_run_from_best_to_worst_with_ties_in_order_and_nulls_last(
    client, asked, top_n
) -> None:
    rows = score(client, item_ids=asked)["results"]

    key = [(row["score"] is None, -(row["score"] or 0), row["index"]) for row in rows]
    assert key == sorted(key)
    assert sorted(row["index"] for row in rows) == list(range(len(asked)))
    assert [row["id"] for row in rows] == [asked[row["index"]] for row in rows]
    assert score(client, item_ids=asked, top_n=top_n)["results"] == rows[:top_n]


@FEW
@given(
    asked=st.lists(st.sampled_from([*IDS, "unknown"]) | st.text(max_size=9), min_size=1),
    top_n=st.none() | st.integers(1, 9),
)
def test_columns_say_the_same_as_rows(client, asked, top_n) -> None:
    body = {"item_ids": asked, "top_n": top_n}

    columns = score(client, **body, format="columns").pop("columns")

    fields = list(columns)
    turned = [dict(zip(fields, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    assert turned == score(client, **body)["results"]


@FEW
@given(
    asked=st.lists(st.sampled_from([*IDS, "unknown"]), min_size=1, max_size=20),
    layout=st.sampled_from(["rows", "columns"]),
)
def test_messagepack_says_the_same_as_json_both_ways(client, asked, layout) -> None:
    body = {"query": QUERY, "item_ids": asked, "items": SENT_ALONG[:2], "format": layout}
    in_json = client.post("/score", json=body)
    packed = msgspec.msgpack.encode(body)

    both_ways = client.post("/score", content=packed, headers=MSGPACK)
    only_in = client.post(
        "/score", content=packed, headers=MSGPACK | {"accept": "application/json"}
    )
    only_out = client.post("/score", json=body, headers={"accept": "application/x-msgpack, */*"})

    assert only_in.json() == in_json.json()
    for reply in (both_ways, only_out):
        assert reply.headers["content-type"] == "application/msgpack"
        assert msgspec.msgpack.decode(reply.content) == in_json.json()


def test_statuses_say_what_happened_to_each_candidate(client, snapshot) -> None:
    reply = score(client, item_ids=["B001", "B005", "unknown", "B004"], items=[{"id": "empty"}])

    rows = by_index(reply)
    assert [rows[at]["status"] for at in range(5)] == ["ok", "no_text", "missing", "ok", "no_text"]
    assert [rows[at]["score"] is None for at in range(5)] == [False, True, True, False, True]
    assert rows[1]["label"] is None
    threshold = snapshot.bundle.threshold
    assert rows[0]["label"] == ("Good" if rows[0]["score"] >= threshold else "Bad")
    assert rows[3]["truncated"]
    assert reply["bundle"] == snapshot.bundle.bundle_id
    assert (reply["sequence"], reply["degraded"], reply["query_truncated"]) == (0, [], False)


def test_duplicates_keep_their_places(client) -> None:
    rows = score(client, item_ids=["B003", "B001", "B003", "B001"])["results"]

    assert [(row["id"], row["index"]) for row in rows[:2]] in (
        [("B001", 1), ("B001", 3)],
        [("B003", 0), ("B003", 2)],
    )


def test_a_long_query_is_cut_and_says_so(client) -> None:
    reply = client.post("/score", json={"query": "red " * 9, "item_ids": ["B001"]}).json()

    assert reply["query_truncated"]


def test_a_query_is_normalised_before_it_is_scored(client) -> None:
    wide = client.post("/score", json={"query": " Ｒed\u200b  water bottle", "item_ids": IDS})

    assert wide.json() == score(client, item_ids=IDS)


def test_ids_without_rows_are_encoded_reported_or_refused_as_asked(snapshot) -> None:
    store = ForgetfulStore(snapshot.items, ("B001",))
    client = make_client(StandingService(replace(snapshot, items=store)))

    encoded = score(client, item_ids=["B001", "unknown"])
    skipped = score(client, item_ids=["B001", "unknown"], on_missing="skip")
    refused = client.post(
        "/score", json={"query": QUERY, "item_ids": ["B001"], "on_missing": "error"}
    )

    assert [row["status"] for row in encoded["results"]] == ["encoded", "missing"]
    assert encoded["degraded"] == ["rows_lost"]
    assert [row["status"] for row in skipped["results"]] == ["missing", "missing"]
    assert code_of(refused) == (404, "item_not_found")


class TestDeadlines:
    """A nanosecond is over before the first candidate, whatever the machine does."""

    PASSED = 1e-6

    def test_a_passed_deadline_is_told_candidate_by_candidate(self, client) -> None:
        reply = score(
            client, item_ids=["B001", "unknown"], items=SENT_ALONG[:1], deadline_ms=self.PASSED
        )

        rows = by_index(reply)
        assert [rows[at]["status"] for at in range(3)] == ["deadline", "missing", "deadline"]
        assert all(row["score"] is None and row["label"] is None for row in rows.values())

    def test_a_strict_deadline_is_504_in_place_of_a_partial_answer(self, client) -> None:
        body = {"deadline_ms": self.PASSED, "strict_deadline": True}

        one = client.post("/score", json={"query": QUERY, "item_ids": ["B001"], **body})
        many = client.post(
            "/score/batch", json={"requests": [{"query": QUERY, "item_ids": ["B001"]}], **body}
        )

        assert code_of(one) == code_of(many) == (504, "deadline_exceeded")

    def test_a_strict_deadline_that_is_kept_changes_nothing(self, client) -> None:
        unhurried = score(client, item_ids=IDS, deadline_ms=60_000, strict_deadline=True)

        assert unhurried == score(client, item_ids=IDS)


class TestPins:
    def test_a_loaded_generation_answers(self, client, snapshot) -> None:
        generation = snapshot.items.generation_id

        assert score(client, item_ids=["B001"], generation=generation)["generation"] == generation

    @pytest.mark.parametrize(
        ("route", "body"),
        [
            ("/score", {"query": QUERY, "item_ids": ["B001"]}),
            ("/score/batch", {"requests": [{"query": QUERY, "item_ids": ["B001"]}]}),
            ("/explain", {"query": QUERY, "item_id": "B001"}),
        ],
    )
    def test_another_generation_is_a_conflict(self, client, route, body) -> None:
        reply = client.post(route, json={**body, "generation": "20200101"})

        assert code_of(reply) == (409, "generation_not_loaded")
        assert "expected the loaded one, in-memory, got 20200101" in reply.text


class TestBatches:
    def test_each_query_gets_what_it_gets_alone(self, client) -> None:
        asked = [
            {"query": QUERY, "item_ids": IDS[:50], "top_n": 3},
            {"query": "oak desk", "item_ids": ["B003", "unknown"]},
            {"query": "steel", "items": SENT_ALONG[:2]},
        ]

        for layout, field in (("rows", "results"), ("columns", "columns")):
            together = batch(client, *asked, format=layout)
            for body, answer in zip(asked, together["replies"], strict=True):
                single = score(client, **{**body, "format": layout})
                assert answer[field] == single[field]
                assert answer["query_truncated"] == single["query_truncated"]
                assert answer["error"] is None
            assert {k: together[k] for k in ("bundle", "generation", "sequence", "degraded")} == {
                k: single[k] for k in ("bundle", "generation", "sequence", "degraded")
            }

    @pytest.mark.parametrize("layout", ["rows", "columns"])
    def test_a_query_that_is_refused_costs_the_others_nothing(self, client, layout) -> None:
        good = {"query": QUERY, "item_ids": ["B001"]}

        reply = batch(client, good, {"query": " ", "item_ids": ["B001"]}, good, format=layout)

        first, refused, last = reply["replies"]
        assert refused["error"]["code"] == "empty_query"
        assert first == last
        assert first["error"] is None

    def test_all_are_answered_from_one_snapshot_though_it_is_swapped_meanwhile(
        self, snapshot
    ) -> None:
        service = StandingService(snapshot)

        class SwappingEncoder:
            """Has a newer snapshot installed as soon as the first query is encoded."""

            def encode(self, text: str, *, limit: int):
                service.snapshot = replace(snapshot, degraded=("newer",))
                return snapshot.encoder.encode(text, limit=limit)

        service.snapshot = replace(snapshot, encoder=SwappingEncoder(), degraded=("older",))
        client = make_client(service)

        reply = batch(
            client,
            {"query": "never asked before", "item_ids": ["B001"]},
            {"query": "nor this", "item_ids": ["B001"]},
        )

        assert reply["degraded"] == ["older"]
        assert score(client, item_ids=["B001"])["degraded"] == ["newer"]

    @pytest.mark.parametrize(
        ("requests", "code"),
        [
            ([], "invalid_request"),
            ([{"query": "a", "item_ids": ["B001"]}] * 4, "too_many_queries"),
            ([{"query": "a", "item_ids": ["B001"] * 6}] * 2, "too_many_candidates"),
            ([{"query": "a", "items": SENT_ALONG[:2]}] * 2, "too_many_items"),
        ],
    )
    def test_limits_hold_for_the_whole_batch(self, snapshot, requests, code) -> None:
        limits = Limits(max_batch_queries=3, max_batch_candidates=10, max_inline_items=3)
        client = make_client(StandingService(snapshot, limits))

        reply = client.post("/score/batch", json={"requests": requests})

        assert code_of(reply) == (422, code)


def test_each_answered_request_tells_its_work_and_a_refused_one_none(snapshot) -> None:
    service = StandingService(snapshot)
    client = make_client(service)

    score(client, item_ids=["B001"])
    client.post("/score", json={"query": QUERY})

    [(route, work)] = service.telemetry.told
    assert route == "/score"
    assert {"parse", "fetch", "score", "serialise"} <= set(work.seconds)
    assert work.statuses == {"ok": 1}
