"""The stream of changes: a reader either misses nothing or is told."""

import pytest

from service.redis_tier.changes import START, ChangeStream, PositionFile


@pytest.fixture
def stream(door) -> ChangeStream:
    return ChangeStream(door, "ellm:changes:b")


def ids_after(stream: ChangeStream, entry: str) -> list[bytes]:
    return [found.fields["id"] for found in stream.after(entry, count=100, wait_ms=0)]


def test_announced_items_are_read_in_order_and_after_a_position(stream) -> None:
    stream.announce(["a", "b"])
    half_way = stream.newest()
    stream.announce(["c"])

    assert ids_after(stream, START) == [b"a", b"b", b"c"]
    assert ids_after(stream, half_way) == [b"c"]
    assert stream.continues_after(START)
    assert stream.continues_after(half_way)


def test_a_stream_that_never_was_has_nothing_to_miss(stream) -> None:
    assert stream.newest() == START
    assert stream.continues_after(START)
    assert ids_after(stream, START) == []


def test_a_reader_whose_place_was_trimmed_away_is_told(stream, client) -> None:
    stream.announce(["a"])
    place = stream.newest()
    stream.announce(["b", "c"])

    client.xtrim(stream.stream, maxlen=2, approximate=False)
    assert not stream.continues_after(place)
    assert not stream.continues_after(START)


def test_a_reader_at_the_end_misses_nothing_even_when_all_was_trimmed(stream, client) -> None:
    stream.announce(["a", "b"])
    place = stream.newest()

    client.xtrim(stream.stream, maxlen=0, approximate=False)

    assert stream.continues_after(place)


def test_a_stream_begun_anew_is_told(stream, client) -> None:
    client.xadd(stream.stream, {"id": "a"}, id="1000-0")
    place = stream.newest()
    client.flushall()
    stream.announce(["b"])

    assert not stream.continues_after(place)


def test_a_position_is_kept_for_its_stream_and_target_alone(tmp_path) -> None:
    positions = PositionFile(tmp_path / "POSITION")
    assert positions.read(stream="s", target="g") is None

    positions.keep(stream="s", target="g", entry="12-3")

    assert positions.read(stream="s", target="g") == "12-3"
    assert positions.read(stream="s", target="other") is None
    assert positions.read(stream="other", target="g") is None


def test_a_damaged_position_is_none(tmp_path) -> None:
    (tmp_path / "POSITION").write_text("{half")

    assert PositionFile(tmp_path / "POSITION").read(stream="s", target="g") is None
