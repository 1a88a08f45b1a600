import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from loadtest.contestants import ENTRIES, Contestant, World, standing
from loadtest.peer_bench import Row, labelled_auc, ratio_to
from loadtest.peer_commands import peers_page
from loadtest.processes import Server
from loadtest.service_bench import Call
from relevance.errors import Unavailable
from relevance.records import Pair


def row(name: str, times: float) -> Row:
    visits = {n: [[times, 2 * times, 3 * times]] * 3 for n in (100, 1000)}
    return Row(
        name,
        visits,
        {n: [times] * 3 for n in (100, 1000)},
        pairs_per_second=1000.0,
        pairs_per_cpu_second=900.0,
        private_mb=10.0,
        cold_start_s=1.0,
        roc_auc=0.8,
    )


def test_ratios_are_of_medians_round_by_round() -> None:
    ratio = ratio_to(row("service", 2.0), row("peer", 10.0), 100)

    assert (ratio.low, ratio.median, ratio.high) == (5.0, 5.0, 5.0)


def test_the_page_has_ratios_figures_and_why_somebody_is_absent() -> None:
    page = peers_page(
        [row("service", 2.0), row("precached", 20.0)], {"infinity": "not installed"}, ENTRIES
    )

    assert "10.0 (10.0–10.0)" in page
    assert "80.0" in page
    assert any("infinity" in line and "not installed" in line for line in page.splitlines())


def test_a_contestant_that_cannot_start_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    def broken(world: World, stack: ExitStack) -> Contestant:
        raise Unavailable("first line\nModuleNotFoundError: no such thing")

    def fine(world: World, stack: ExitStack) -> Contestant:
        return Contestant("fine", Server("fine", 1, 1))

    entry = type(ENTRIES[0])
    world = World(tmp_path, tmp_path, tmp_path, tmp_path, tmp_path, None, None, tmp_path)

    with standing([entry("a", "", broken), entry("b", "", fine)], world) as (found, absent):
        assert [one.name for one in found] == ["fine"]
        assert absent == {"a": "ModuleNotFoundError: no such thing"}


def test_peers_whose_models_were_not_given_say_so(tmp_path: Path) -> None:
    world = World(tmp_path, tmp_path, tmp_path, tmp_path, tmp_path, None, None, tmp_path)
    needing = [entry for entry in ENTRIES if "encod" in entry.name or entry.name == "infinity"]

    with standing(needing, world) as (found, absent):
        assert found == []
        assert all("was not given" in reason for reason in absent.values())
        assert len(absent) == 4


def test_replies_are_read_in_the_order_asked() -> None:
    reply = json.dumps({"results": [{"index": 1, "score": 0.9}, {"index": 0, "score": 0.2}]})

    assert Contestant("x", Server("x", 1, 1)).scores(reply.encode(), 2) == [0.2, 0.9]


def test_roc_auc_is_of_all_pairs_each_query_asked_once() -> None:
    asked: list[Call] = []

    def score(call: Call) -> list[float]:
        asked.append(call)
        return [float(item_id) for item_id in call.item_ids]

    pairs = [
        Pair("q", "3", True),
        Pair("r", "2", True),
        Pair("q", "1", False),
        Pair("r", "4", False),
    ]

    assert labelled_auc(score, pairs) == pytest.approx(0.5)
    assert [(call.query, call.item_ids) for call in asked] == [("q", ["3", "1"]), ("r", ["2", "4"])]
    assert labelled_auc(score, []) != labelled_auc(score, [])
