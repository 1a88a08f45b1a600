"""Real servers: a Cluster of three, passwords, TLS, a restart, and the stream's waiting."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from relevance.errors import Unavailable
from service.redis_tier.changes import START, ChangeStream
from service.redis_tier.door import RedisDoor, RedisSettings
from service.redis_tier.tier import RedisTier, deletion, shape_of
from tests.service.redis_tier.redis_server import (
    PATIENCE_S,
    free_node_port,
    free_port,
    redis_server,
)
from tests.service.redis_tier.test_load import COUNT, load_all
from tests.service.redis_tier.test_tier import write_of

pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture(scope="module")
def cluster_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with ExitStack() as servers:
        ports = [
            servers.enter_context(
                redis_server(
                    tmp_path_factory.mktemp("node"),
                    *("--cluster-enabled", "yes", "--cluster-node-timeout", "60000"),
                    port=free_node_port(),
                )
            )
            for _ in range(3)
        ]
        nodes = [f"127.0.0.1:{port}" for port in ports]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"],
            check=True,
            capture_output=True,
            timeout=PATIENCE_S,
        )
        wait_until_ok(ports)
        yield ports[0]


def wait_until_ok(ports: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        states = [redis.Redis(port=port).cluster("info")["cluster_state"] for port in ports]
        if set(states) == {"ok"}:
            return
        time.sleep(0.1)
    raise AssertionError(f"the cluster did not come up: {states}")


@pytest.fixture
def cluster_tier(cluster_port: int, bundle) -> RedisTier:
    door = RedisDoor.open(RedisSettings(f"redis+cluster://127.0.0.1:{cluster_port}"))
    return RedisTier(door, shape_of(bundle))


def test_a_cluster_loads_reads_and_writes_as_one_redis_does(cluster_tier) -> None:
    report = load_all(cluster_tier)
    ids = [f"item-{at}" for at in range(COUNT)]

    assert cluster_tier.door.is_cluster
    assert report.written == COUNT
    assert cluster_tier.rows(ids).is_found.all()
    assert (
        cluster_tier.write([write_of(cluster_tier, item_id, version=0) for item_id in ids[:50]])
        == [False] * 50
    )
    assert (
        cluster_tier.write(
            [deletion(cluster_tier.shape, item_id, source_version=2) for item_id in ids[:50]]
        )
        == [True] * 50
    )
    assert cluster_tier.rows(ids[:51]).is_found.tolist() == [False] * 50 + [True]


def test_the_keys_of_a_cluster_lie_on_every_node_and_all_are_found(
    cluster_tier, cluster_port
) -> None:
    load_all(cluster_tier, version=3)
    pattern = cluster_tier.keys.all_rows(cluster_tier.shape.bundle_id)

    found = [key for keys in cluster_tier.door.keys(pattern) for key in keys]

    assert len(set(found)) == COUNT
    assert len(cluster_tier.door.memory()) == 3


def test_a_stream_in_a_cluster_is_announced_and_read(cluster_tier) -> None:
    stream = ChangeStream(cluster_tier.door, "ellm:changes:in-a-cluster")

    stream.announce(["a"])

    (entry,) = stream.after(START, count=9, wait_ms=0)
    assert entry.fields == {"id": b"a"}
    assert stream.continues_after(entry.entry_id)


def test_a_password_is_taken_from_the_settings_or_the_url(tmp_path) -> None:
    with redis_server(tmp_path, "--requirepass", "secret") as port:
        url = f"redis://127.0.0.1:{port}"
        with pytest.raises(Unavailable, match="AuthenticationError"):
            RedisDoor.open(RedisSettings(url))

        RedisDoor.open(RedisSettings(url, password="secret")).close()
        RedisDoor.open(RedisSettings(f"redis://:secret@127.0.0.1:{port}")).close()


def test_tls_trusts_the_given_authority_and_no_other(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    tls = free_port()
    options = ["--tls-port", str(tls), "--tls-auth-clients", "no"]
    options += ["--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    with redis_server(tmp_path, *options):
        url = f"rediss://127.0.0.1:{tls}"

        RedisDoor.open(RedisSettings(url, ca_file=certificate)).close()
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            RedisDoor.open(RedisSettings(url))


def test_a_client_outlives_a_restart_of_redis(tmp_path, bundle) -> None:
    port = free_port()
    with redis_server(tmp_path, port=port):
        tier = RedisTier(
            RedisDoor.open(RedisSettings(f"redis://127.0.0.1:{port}")), shape_of(bundle)
        )
        tier.write([write_of(tier, "a", version=1)])
    with pytest.raises(Unavailable):
        tier.rows(["a"])

    with redis_server(tmp_path, port=port):
        assert not tier.rows(["a"]).is_found[0]
        assert tier.write([write_of(tier, "a", version=1)]) == [True]


def test_a_slow_redis_is_given_up_after_the_timeout(tmp_path) -> None:
    with redis_server(tmp_path) as port:
        redis.Redis(port=port).client_pause(3_600_000)  # the server ends with the block

        with pytest.raises(Unavailable, match="TimeoutError"):
            RedisDoor.open(RedisSettings(f"redis://127.0.0.1:{port}", timeout_s=0.2))


def test_a_waiting_reader_is_woken_by_the_first_entry(real_port) -> None:
    url = f"redis://127.0.0.1:{real_port}"
    door = RedisDoor.open(RedisSettings(url, timeout_s=PATIENCE_S))
    redis.Redis(port=real_port).flushall()
    stream = ChangeStream(door, "ellm:changes:woken")
    threading.Timer(0.2, stream.announce, [["a"]]).start()

    (entry,) = stream.after(START, count=9, wait_ms=60_000)

    assert entry.fields == {"id": b"a"}
