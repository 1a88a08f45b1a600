import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from relevance.errors import BadInput
from relevance.experiments.pair_log import LoggedText, Role, read_pair_log
from service.experiments.journal import Journal, remove_old, seal_abandoned
from service.experiments.pair_log import Keeping, PairLog
from tests.service.experiments.conftest import KEYS, ask, eventually, metrics, plan_text, serving
from tests.service.experiments.logged import ITEMS, logged

ROOT = Path(__file__).resolve().parents[3]


def rows_of(folder: Path) -> list[dict]:
    return read_pair_log(folder).table.to_pylist()


def write(keeping: Keeping, *requests, **options) -> PairLog:
    log = PairLog(keeping, **options)
    for request in requests:
        log.put(request)
    log.close()
    return log


def test_a_request_is_logged_best_item_first_with_its_origin(tmp_path) -> None:
    log = write(Keeping(tmp_path, rate=0.25, text=LoggedText.PLAIN), logged(request_id="r-1"))

    best, second = rows_of(tmp_path)
    shown = ("item_id", "position", "score", "query", "key", "request_id", "sample_rate")
    assert [best[name] for name in shown] == ["c", 0, 0.75, "red lamp", "shopper", "r-1", 0.25]
    assert (second["item_id"], second["position"], second["score"]) == ("a", 1, 0.25)
    assert (best["bundle"], best["generation"], best["sequence"]) == (
        "bundle-1",
        "generation-1",
        3,
    )
    assert (log.written, log.lost) == (2, 0)


@pytest.mark.parametrize("text", list(LoggedText))
def test_queries_and_keys_are_kept_as_the_switch_says(tmp_path, text) -> None:
    write(Keeping(tmp_path, text=text, hash_key=b"secret"), logged(), logged(key=None))

    rows = rows_of(tmp_path)

    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert (b"red lamp" in kept) is (b"shopper" in kept) is (text is LoggedText.PLAIN)
    hashes = {row["query_hash"] for row in rows}
    assert len(hashes) == 1
    assert (hashes == {None}) is (text is LoggedText.NONE)
    keys = {row["key"] for row in rows[ITEMS:]}
    assert keys == {None}
    first = rows[0]["key"]
    expected = {LoggedText.PLAIN: "shopper", LoggedText.NONE: None}
    assert first == expected[text] if text in expected else str(first).startswith("#")


def test_hashes_of_two_secrets_differ_and_of_one_agree(tmp_path) -> None:
    for folder, secret in (("a", b"one"), ("b", b"one"), ("c", b"two")):
        write(Keeping(tmp_path / folder, hash_key=secret), logged())

    a, b, c = (rows_of(tmp_path / folder)[0]["query_hash"] for folder in "abc")
    assert a == b != c


def test_where_the_queue_is_full_rows_are_dropped_and_counted(tmp_path) -> None:
    log = write(Keeping(tmp_path), *[logged()] * 5, most_waiting=2, flush_s=60)

    assert (log.written, log.lost) == (2 * ITEMS, 3 * ITEMS)
    assert len(rows_of(tmp_path)) == 2 * ITEMS


def test_a_folder_that_cannot_be_written_costs_rows_and_no_fault(tmp_path, caplog) -> None:
    log = PairLog(Keeping(tmp_path / "log"), flush_s=60)
    (tmp_path / "log").rmdir()
    (tmp_path / "log").write_text("in the way")

    log.put(logged())
    log.close()

    assert (log.written, log.lost) == (0, ITEMS)
    assert "the pair log lost rows" in caplog.text


def test_files_are_rotated_by_size_and_by_time(tmp_path) -> None:
    for name, keeping in (
        ("size", Keeping(tmp_path / "size", rotate_bytes=1)),
        ("time", Keeping(tmp_path / "time", rotate_s=0.0)),
    ):
        log = PairLog(keeping, flush_s=0.001)
        for at in range(3):
            log.put(logged(f"query {at}"))
            eventually(lambda log=log, at=at: log.written == (at + 1) * ITEMS)
            eventually(lambda name=name, at=at: len(sealed(tmp_path / name)) == at + 1)
        log.close()
        assert len(rows_of(tmp_path / name)) == 3 * ITEMS


def sealed(folder: Path) -> list[Path]:
    return sorted(folder.glob("pairs-*.parquet"))


def test_old_files_are_removed_and_the_oldest_where_there_are_too_many_bytes(tmp_path) -> None:
    for at in range(4):
        write(Keeping(tmp_path), logged(f"query {at}"))
        for path in sealed(tmp_path):
            status = path.stat()
            os.utime(path, (status.st_atime, status.st_mtime - 1000))
    oldest, second, *newest = sorted(sealed(tmp_path), key=lambda path: path.stat().st_mtime)

    assert remove_old(tmp_path, max_age_s=3500, max_bytes=1 << 30) == [oldest]
    room = sum(path.stat().st_size for path in newest)
    assert remove_old(tmp_path, max_age_s=1e9, max_bytes=room) == [second]
    assert sorted(sealed(tmp_path)) == sorted(newest)


def test_a_stream_torn_at_any_byte_is_sealed_with_its_whole_batches(tmp_path) -> None:
    """What a kill or a power cut can leave: prefixes of the stream."""
    log = PairLog(Keeping(tmp_path / "log", text=LoggedText.PLAIN), flush_s=60)
    for at in range(3):
        log.put(logged(f"query {at}"))
        log._flush()
    [stream] = (tmp_path / "log").glob(".pairs-*")
    whole = stream.read_bytes()
    log.close()

    lengths = []
    for length in (*range(1, len(whole), 150), len(whole)):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / stream.name).write_bytes(whole[:length])
        made = seal_abandoned(folder)
        lengths.append(pq.read_table(made[0]).num_rows if made else 0)
        assert not list(folder.glob(".pairs-*"))

    assert lengths == sorted(lengths)
    assert set(lengths) == {0, ITEMS, 2 * ITEMS, 3 * ITEMS}


def test_a_stream_opened_a_moment_ago_is_left_alone_even_before_it_is_locked(tmp_path) -> None:
    stream = tmp_path / ".pairs-20261121-120000-1-0.arrows"
    stream.touch()

    assert seal_abandoned(tmp_path) == []
    assert stream.exists()


def test_a_living_workers_stream_is_left_alone(tmp_path) -> None:
    journal = Journal(tmp_path)

    assert seal_abandoned(tmp_path) == []
    assert journal.path.exists()
    assert journal.seal() is None


SLOW_SEEDS = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10)]


@pytest.mark.parametrize("seed", [0, *SLOW_SEEDS])
def test_a_killed_worker_loses_only_what_it_had_not_yet_appended(tmp_path, seed) -> None:
    """Killed after a random number of rows: all that was told is there, in order, readable."""
    told, wanted = 0, random.Random(seed).randrange(50, 2000)
    command = [sys.executable, "-m", "tests.service.experiments.write_pairs", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        while told < wanted:
            told = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)

    seal_abandoned(tmp_path)
    found = read_pair_log(tmp_path)

    queries = [row["query"] for row in found.table.to_pylist()[::ITEMS]]
    assert len(queries) * ITEMS >= told
    assert sorted(queries, key=lambda q: int(q.split()[1])) == [
        f"query {at}" for at in range(len(queries))
    ]
    assert not found.unreadable
    assert not list(tmp_path.glob(".pairs-*"))


def test_a_damaged_file_is_told_and_the_others_are_read(tmp_path) -> None:
    write(Keeping(tmp_path), logged())
    (tmp_path / "pairs-0.parquet").write_bytes(b"PAR1 and no more")

    found = read_pair_log(tmp_path)

    assert found.table.num_rows == ITEMS
    assert found.unreadable == (tmp_path / "pairs-0.parquet",)


def test_a_folder_without_a_log_is_refused(tmp_path) -> None:
    with pytest.raises(BadInput, match="expected at least one readable file of logged pairs"):
        read_pair_log(tmp_path)


def test_a_running_service_logs_answers_and_shadows_of_the_requests_it_draws(
    store_folder, candidate_store, tmp_path
) -> None:
    plan_file = tmp_path / "plan.toml"
    plan_file.write_text(plan_text(candidate_store, shadow=100))
    settings = {"pair_log_rate": 1.0, "pair_log_text": "plain", "pair_log_top": 2}

    with serving(store_folder, plan_file, pair_log=tmp_path / "log", **settings) as client:
        replies = {key: ask(client, key) for key in KEYS[:10]}
        ask(client)
        name = 'relevance_shadow_requests_total{outcome="scored",variant="candidate"}'
        by_control = sum(r["variant"]["variant"] == "control" for r in replies.values()) + 1
        eventually(lambda: metrics(client).get(name) == by_control)

    rows = rows_of(tmp_path / "log")
    answers = [row for row in rows if row["role"] == Role.ANSWER]
    assert len(answers) == 11 * 2
    for key, reply in replies.items():
        own = [row for row in answers if row["key"] == key]
        assert [(row["item_id"], row["score"]) for row in own] == [
            (result["id"], result["score"]) for result in reply["results"][:2]
        ]
        assert {row["variant"] for row in own} == {reply["variant"]["variant"]}
        assert {row["generation"] for row in own} == {reply["generation"]}
    shadows = [row for row in rows if row["role"] == Role.SHADOW]
    assert len(shadows) == by_control * 2
    by_candidate = next(r for r in replies.values() if r["variant"]["variant"] == "candidate")
    assert {row["generation"] for row in shadows} == {by_candidate["generation"]}
    assert [row["score"] for row in shadows[:2]] == [
        result["score"] for result in by_candidate["results"][:2]
    ]
    assert all(row["request_id"] for row in rows)


def test_a_request_is_drawn_with_the_rates_probability(tmp_path) -> None:
    log = PairLog(Keeping(tmp_path, rate=0.1), draw=random.Random(0).random)
    drawn = sum(log.wants() for _ in range(20_000))
    log.close()

    assert abs(drawn - 2000) < 4 * (2000 * 0.9) ** 0.5
