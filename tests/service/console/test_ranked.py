"""The query view's rankings, one bundle or two, against /score and /search."""

import httpx
from starlette.testclient import TestClient

from tests.service.console.make_console import ask, console

QUERY = "red water bottle"


def scores_of(client: TestClient, ids: list[str]) -> dict[str, float]:
    reply = client.post("/score", json={"query": QUERY, "item_ids": ids}).json()
    return {row["id"]: row["score"] for row in reply["results"]}


def test_a_searched_ranking_is_that_of_search(client) -> None:
    ranking = ask(client, "rank", query=QUERY, top_k=10)

    found = client.post("/search", json={"query": QUERY, "top_k": 10}).json()["results"]
    ranked = [row for row in ranking["rows"] if row["first"]["rank"] is not None]
    assert [(row["item"]["id"], row["first"]["score"]) for row in ranked] == [
        (row["id"], row["score"]) for row in found
    ]
    assert [row["first"]["rank"] for row in ranked] == list(range(1, 11))


def test_both_bundles_rank_what_either_found(client, second_store) -> None:
    ranking = ask(client, "rank", query=QUERY, top_k=5)

    ids = [row["item"]["id"] for row in ranking["rows"]]
    assert {row["item"]["id"]: row["first"]["score"] for row in ranking["rows"]} == scores_of(
        client, ids
    )
    with console(second_store) as second:
        expected = scores_of(second, ids)
    shown = {row["item"]["id"]: row["second"]["score"] for row in ranking["rows"]}
    assert shown == expected
    assert ranking["compared"]["bundle"] != ranking["bundle"]
    best = sorted(expected, key=lambda item_id: -expected[item_id])[:5]
    of_second = {row["second"]["rank"]: row["item"]["id"] for row in ranking["rows"]}
    assert [of_second[rank] for rank in range(1, 6)] == best
    assert None in of_second  # what only the first bundle found has no rank in the second


def test_lines_are_ids_where_the_catalogue_knows_them_and_titles_else(client) -> None:
    ranking = ask(client, "rank", query=QUERY, lines=["B001", "Red water bottle", "lamp-3", "B001"])

    shown = {row["item"]["id"]: row for row in ranking["rows"]}
    assert set(shown) == {"B001", "lamp-3", "line 1"}
    assert shown["line 1"]["item"]["title"] == "Red water bottle"
    assert [shown[one]["known"] for one in ("B001", "lamp-3", "line 1")] == [True, True, False]
    assert sorted(row["first"]["rank"] for row in ranking["rows"]) == [1, 2, 3]
    inline = client.post(
        "/score", json={"query": QUERY, "items": [{"id": "x", "title": "Red water bottle"}]}
    ).json()
    assert shown["line 1"]["first"]["score"] == inline["results"][0]["score"]


def test_an_item_without_text_comes_last_without_a_rank(client) -> None:
    rows = ask(client, "rank", query=QUERY, lines=["B005", "B001"])["rows"]

    assert [row["item"]["id"] for row in rows] == ["B001", "B005"]
    assert rows[1]["first"] == {"score": None, "label": None, "status": "no_text", "rank": None}


def test_a_second_store_that_cannot_be_opened_is_told_and_costs_nothing_else(
    store_folder, tmp_path
) -> None:
    with console(store_folder, console_compare=tmp_path / "nothing") as client:
        info = client.get("/console/api/info").json()
        ranking = ask(client, "rank", query=QUERY, top_k=3)

    assert info["compared"] is None
    assert "nothing" in info["compared_fault"]
    assert ranking["compared"] is None
    assert [row["second"] for row in ranking["rows"]] == [None] * 3


def test_the_teachers_reasons_are_those_of_explain(client) -> None:
    reasons = ask(client, "reasons", query="steel bottle", item_ids=["B001", "nobody", "B003"])

    first, unknown, third = reasons["reasons"]
    explained = client.post("/explain", json={"query": "steel bottle", "item_id": "B001"}).json()
    assert first["label"] == explained["teacher"]["label"] == "Good"
    assert first["aspects"] == explained["aspects"]
    assert (unknown["state"], unknown["label"]) == ("unavailable", None)
    assert third["label"] == "Bad"


def test_items_are_found_by_id_and_by_words_of_their_title(client) -> None:
    def found(text: str) -> list[str]:
        return [item["id"] for item in ask(client, "items", text=text)["items"]]

    assert found("B003") == ["B003"]
    assert found("b00") == ["B001", "B002", "B003", "B004", "B005"]
    assert found("cotton BLUE") == ["B002"]
    assert found("lamp-19")[0] == "lamp-19"
    assert found("no such words") == []
    assert len(ask(client, "items", text="lamp", limit=7)["items"]) == 7


def test_the_console_is_absent_where_it_is_switched_off(store_folder) -> None:
    with console(store_folder, console=False) as client:
        answers: list[httpx.Response] = [
            client.get(path) for path in ("/console", "/console/", "/console/api/info")
        ]

    assert [answer.status_code for answer in answers] == [404, 404, 404]
