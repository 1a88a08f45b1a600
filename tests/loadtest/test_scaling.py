import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.floor import Work, floor_page
from loadtest.profile import ELSEWHERE, profile_table
from loadtest.scaling import Journal, Point, read_points
from loadtest.scaling_page import PICTURES, bend_of, page, write_pictures
from relevance.errors import BadInput, Unavailable


def point(x: float, p50: float, *, series: str = "engine: candidates") -> Point:
    return Point(series, x, p50 * 0.9, p50, p50 * 2, math.nan, 0.5, math.nan)


def test_points_survive_a_restart_and_are_not_asked_for_again(tmp_path) -> None:
    journal = Journal(tmp_path / "deep" / "points.jsonl")
    journal.keep(point(10, 0.1))
    journal.keep(point(100, 0.2))

    again = Journal(tmp_path / "deep" / "points.jsonl")

    assert ("engine: candidates", 10) in again
    assert ("engine: candidates", 1000) not in again
    assert [one.p50 for one in again.points()] == [0.1, 0.2]


def test_a_journal_that_is_none_is_refused_with_its_line(tmp_path) -> None:
    path = tmp_path / "points.jsonl"
    path.write_text("not a point\n")

    with pytest.raises(BadInput, match="line 1: expected a measured point"):
        read_points(path)


@given(st.floats(-1, 2), st.floats(0.01, 10))
def test_a_straight_line_has_no_bend(slope: float, first: float) -> None:
    points = [point(x, first * x**slope) for x in (1, 4, 16, 64)]

    assert bend_of(points) is None


@given(before=st.floats(0, 0.5), after=st.floats(1.0, 2), place=st.integers(1, 3))
def test_a_bend_is_found_where_the_slope_changes(before: float, after: float, place: int) -> None:
    xs = [10.0**n for n in range(5)]
    points = [point(x, min(x, xs[place]) ** before * max(1, x / xs[place]) ** after) for x in xs]

    bend = bend_of(points)

    assert bend is not None
    assert bend.x == xs[place]
    assert (bend.before, bend.after) == pytest.approx((before, after))


def test_plots_and_tables_hold_what_was_measured_and_leave_out_what_was_not(tmp_path) -> None:
    points = [point(x, y) for x, y in ((10, 0.1), (100, 0.11), (1000, 1.0), (10_000, 10.0))]

    written = write_pictures(tmp_path, points)
    shown = page([*points, replace(point(1, 5.0, series="workers"), per_second=99.0)])

    assert [path.name for path in written] == ["scaling-candidates.svg"]
    assert "slope 0.0 → 1.0" in written[0].read_text()
    assert "at 100: slope 0.0 → 1.0" in shown
    assert "99" in shown


def test_every_series_that_is_measured_is_in_a_picture() -> None:
    from loadtest.scaling import ALL

    assert {name for picture in PICTURES for name in picture.series} == {one.name for one in ALL}


def test_the_floor_is_bytes_and_multiply_adds_over_what_the_machine_reaches() -> None:
    work = Work(candidates=1000, query_tokens=16, rows=32, dim=128)
    rates = {
        "copied_bytes_per_second": 8.192e9,
        "gathered_bytes_per_second": 4.096e9,
        "multiply_adds_per_second": 131.072e9,
    }

    shown = floor_page(work, rates, measured_ms=2.0)

    assert "75% of the run" in shown  # 1.0 ms of reading, 0.5 ms of multiplying
    assert "4.10 MB" in shown
    assert "65.5 M" in shown


def test_a_profile_gives_each_sample_to_the_deepest_part_it_lies_in() -> None:
    stacks = [
        "run (uvicorn.py:1);answer (request.py:9);rank (score.py:2);encode_query (query.py:3) 60",
        "run (uvicorn.py:1);answer (request.py:9);rank (score.py:2) 10",
        "run (uvicorn.py:1);poll (loop.py:5) 30",
    ]

    shown = profile_table(stacks)

    assert "100 samples" in shown
    for part, share in (("encoding the query", "60.0%"), ("the rest of ranking", "10.0%")):
        assert any(part in line and share in line for line in shown.splitlines())
    assert any(ELSEWHERE in line and "30.0%" in line for line in shown.splitlines())


def test_a_profile_without_a_sample_is_told() -> None:
    with pytest.raises(Unavailable, match="no sample"):
        profile_table([])
