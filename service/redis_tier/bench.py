"""Loading Redis beside `redis-benchmark`, and how far a change is behind; on a server of its own.

Both write to the same redis-server, at the same pipeline depth and value size, in turns, so that
a busy machine slows both. Fields (a second, small key an item) are loaded in a run of their own.
"""

import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from relevance.domain import Item
from relevance.errors import BadInput, Unavailable
from service.redis_tier.bulk import Pair
from service.redis_tier.door import RedisDoor, RedisSettings
from service.redis_tier.load import PIPELINE, ReadyItems, load, records_of
from service.redis_tier.record import RecordShape
from service.redis_tier.tier import RedisTier

ROWS, DIM = 32, 128
ROUNDS = 3
Say = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """Medians over the rounds; rates a second, shares of redis-benchmark's own rate."""

    items: int
    value_bytes: int
    pipeline: int
    benchmark: float
    records: float
    whole: float
    client_us: float

    @property
    def records_share(self) -> float:
        """Records alone, as redis-benchmark writes one key an item."""
        return self.records / self.benchmark

    @property
    def whole_share(self) -> float:
        """Keys written in whole loads, two an item, beside redis-benchmark's."""
        return 2 * self.whole / self.benchmark


def measure_load(items: int, *, say: Say) -> LoadFigures:
    """Load made-up items and run redis-benchmark in turns on a server started for it."""
    ready = list(_made_up(items))
    shape = RecordShape("ab" * 8, ROWS, DIM)
    benchmark, records, whole, processor = [], [], [], []
    with own_server() as port:
        tier = RedisTier(RedisDoor.open(RedisSettings(f"redis://127.0.0.1:{port}")), shape)
        for round_number in range(ROUNDS):
            say(f"round {round_number + 1} of {ROUNDS}")
            benchmark.append(_redis_benchmark(port, items, shape.value_bytes))
            _flush(port)
            records.append(items / _seconds(lambda: _load_records(tier, ready)))
            _flush(port)
            began = time.process_time()
            whole.append(items / _seconds(lambda: _load_whole(tier, ready, items)))
            processor.append((time.process_time() - began) / items * 1e6)
            _flush(port)
    return LoadFigures(
        items=items,
        value_bytes=shape.value_bytes,
        pipeline=PIPELINE,
        benchmark=float(np.median(benchmark)),
        records=float(np.median(records)),
        whole=float(np.median(whole)),
        client_us=float(np.median(processor)),
    )


@contextmanager
def own_server() -> Iterator[int]:
    """A redis-server of this run alone, without persistence; yields its port."""
    for program in ("redis-server", "redis-benchmark"):
        if shutil.which(program) is None:
            raise BadInput(f"expected `{program}` on the path\nhint: apt-get install redis-server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
        server = subprocess.Popen(
            [*command, "--save", "", "--appendonly", "no", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            yield port
        finally:
            server.kill()
            server.wait()


def _redis_benchmark(port: int, items: int, value_bytes: int) -> float:
    command = ["redis-benchmark", "-p", str(port), "-t", "set", "-d", str(value_bytes)]
    command += ["-P", str(PIPELINE), "-c", "1", "-n", str(items), "-r", str(items), "--csv"]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r'^"SET","([0-9.]+)"', told, re.MULTILINE)
    if found is None:
        raise Unavailable(f"redis-benchmark: expected a row of SET, got {told!r:.200}")
    return float(found[1])


def _load_records(tier: RedisTier, ready: list[ReadyItems]) -> None:
    written = sum(sum(done) for done in tier.door.put_absent_each(_record_blocks(tier, ready)))
    assert written == sum(len(part.items) for part in ready)


def _record_blocks(tier: RedisTier, ready: list[ReadyItems]) -> Iterator[list[Pair]]:
    for part in ready:
        keys = [tier.keys.rows(tier.shape.bundle_id, item.item_id) for item in part.items]
        pairs = list(zip(keys, records_of(tier, part), strict=True))
        for start in range(0, len(pairs), PIPELINE):
            yield pairs[start : start + PIPELINE]


def _load_whole(tier: RedisTier, ready: list[ReadyItems], items: int) -> None:
    report = load(tier, ready, items=items, announce=False)
    assert report.written == items


def _made_up(items: int) -> Iterator[ReadyItems]:
    random = np.random.default_rng(0)
    for start in range(0, items, 1024):
        count = min(1024, items - start)
        yield ReadyItems(
            items=[Item(f"item-{at:08d}", f"title {at}") for at in range(start, start + count)],
            embeddings=random.integers(0, 256, (count, ROWS, DIM), np.uint8),
            token_counts=np.full(count, 20, np.uint8),
            truncated=np.zeros(count, np.uint8),
            content_hashes=np.arange(start, start + count, dtype=np.uint64),
            source_versions=np.ones(count, np.uint64),
        )


def _flush(port: int) -> None:
    subprocess.run(["redis-cli", "-p", str(port), "flushall"], check=True, capture_output=True)


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _wait_for(port: int, *, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise Unavailable(f"redis-server did not listen on {port} within {seconds:.0f} s")
