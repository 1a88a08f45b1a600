"""The door to one Redis or one Redis Cluster: the few calls this tier makes, and one error.

Every failure leaves here as `Unavailable`. What keys and values mean is not known here.

    redis://host:6379/0          TCP            rediss://…   the same over TLS
    unix:///run/redis.sock       socket         redis+cluster://, rediss+cluster://   a Cluster
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from relevance.errors import BadInput, Unavailable
from service.redis_tier.bulk import Pair, put_absent_each
from service.redis_tier.scripts import SCRIPTS, ScriptName

CLUSTER = "+cluster"
SCHEMES = ("redis", "rediss", "unix", f"redis{CLUSTER}", f"rediss{CLUSTER}")
KEYS_A_SCAN = 1000


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """Where Redis is and how long to wait for it.

    User and password stand in the URL (`rediss://user:password@host`) or here. `ca_file`,
    `certificate` and `key` are PEM files for TLS. `timeout_s` bounds connecting and each reply.
    """

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    timeout_s: float = 5.0

    def __post_init__(self) -> None:
        scheme = self.url.partition("://")[0]
        if scheme not in SCHEMES:
            expected = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            raise BadInput(f"Redis URL: expected one of {expected}, got `{scheme}://`")

    @property
    def is_cluster(self) -> bool:
        """Whether the URL names a node of a Redis Cluster."""
        return CLUSTER in self.url.partition("://")[0]

    @property
    def shown(self) -> str:
        """The URL without what is secret."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"

    def options(self) -> dict[str, Any]:
        """What redis-py's `from_url` is given beside the URL."""
        given: dict[str, Any] = {
            "username": self.username,
            "password": self.password,
            "ssl_ca_certs": None if self.ca_file is None else str(self.ca_file),
            "ssl_certfile": None if self.certificate is None else str(self.certificate),
            "ssl_keyfile": None if self.key is None else str(self.key),
        }
        waits = {"socket_timeout": self.timeout_s, "socket_connect_timeout": self.timeout_s}
        return waits | {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """One primary's memory in bytes; `limit` is its `maxmemory`, 0 where it has none."""

    used: int
    limit: int
    system: int
    policy: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a stream."""

    entry_id: str
    fields: dict[str, bytes]

    @property
    def milliseconds(self) -> int:
        """When Redis took the entry, since the epoch."""
        return int(self.entry_id.partition("-")[0])


class RedisDoor:
    """Typed calls on a redis-py client; safe to share between threads, not between processes."""

    def __init__(self, client: "redis.Redis | RedisCluster", *, name: str = "redis") -> None:
        self._client: Any = client  # redis-py's annotations mix its sync and async answers
        self._name = name
        self._digests: dict[ScriptName, str] = {}

    @classmethod
    def open(cls, settings: RedisSettings) -> Self:
        """A client of the settings' Redis; raises `Unavailable` where it does not answer."""
        with _told(settings.shown):
            url, options = settings.url.replace(CLUSTER, "", 1), settings.options()
            retry = Retry(NoBackoff(), 1)  # one more try: a connection idle for long may be closed
            client: redis.Redis | RedisCluster
            if settings.is_cluster:
                client = RedisCluster.from_url(url, **options)
            else:
                client = redis.Redis.from_url(url, retry=retry, **options)
            client.ping()
        return cls(client, name=settings.shown)

    @property
    def name(self) -> str:
        """The address, without secrets."""
        return self._name

    @property
    def is_cluster(self) -> bool:
        """Whether keys are spread over several nodes."""
        return isinstance(self._client, RedisCluster)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def values(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The values at `keys`, None where there is none: one pipelined round trip a node."""
        if not keys:
            return []
        with _told(self._name):
            mget = self._client.mget_nonatomic if self.is_cluster else self._client.mget
            return mget(list(keys))

    def value(self, key: str) -> bytes | None:
        """One value."""
        with _told(self._name):
            return self._client.get(key)

    def put(self, key: str, value: bytes) -> None:
        """Set one value."""
        with _told(self._name):
            self._client.set(key, value)

    def put_absent(self, pairs: Sequence[Pair]) -> list[bool]:
        """Set those keys that have no value, pipelined; True where that was so."""
        with _told(self._name):
            pipeline = self._client.pipeline(transaction=False)
            for key, value in pairs:
                pipeline.execute_command("SET", key, value, "NX")
            return [bool(answer) for answer in pipeline.execute()]

    def put_absent_each(self, blocks: Iterable[Sequence[Pair]]) -> Iterator[list[bool]]:
        """`put_absent` for block after block, with the next one under way meanwhile."""
        if self.is_cluster:
            yield from map(self.put_absent, blocks)
            return
        with _told(self._name):
            yield from put_absent_each(self._client, blocks)

    def run(
        self, script: ScriptName, calls: Sequence[tuple[Sequence[bytes], Sequence[Any]]]
    ) -> list[Any]:
        """Run a script once for each (keys, arguments), pipelined; keys of a call share a slot."""
        with _told(self._name):
            digest = self._digest(script)
            try:
                return self._run(digest, calls)
            except redis.exceptions.NoScriptError:  # Redis was restarted, or failed over
                self._digests.clear()
                return self._run(self._digest(script), calls)

    def remove(self, keys: Sequence[bytes]) -> None:
        """Remove keys, pipelined."""
        with _told(self._name):
            pipeline = self._client.pipeline(transaction=False)
            for key in keys:
                pipeline.unlink(key)
            pipeline.execute()

    def keys(self, pattern: str) -> Iterator[list[bytes]]:
        """Batches of the keys that match; a key may come twice, as Redis's SCAN has it."""
        with _told(self._name):
            found = iter(self._client.scan_iter(match=pattern, count=KEYS_A_SCAN))
            while batch := list(islice(found, KEYS_A_SCAN)):
                yield batch

    def append(self, stream: str, entries: Sequence[dict[str, Any]], *, keep: int) -> None:
        """Append entries, pipelined; the stream keeps about the `keep` newest."""
        with _told(self._name):
            pipeline = self._client.pipeline(transaction=False)
            for entry in entries:
                pipeline.xadd(stream, entry, maxlen=keep, approximate=True)
            pipeline.execute()

    def read(self, stream: str, *, after: str, count: int, wait_ms: int) -> list[Entry]:
        """Entries after an id, waiting up to `wait_ms` for the first; 0 does not wait."""
        with _told(self._name):
            found = self._client.xread({stream: after}, count=count, block=wait_ms or None)
        return _entries(found)

    def last_entry_id(self, stream: str) -> str:
        """The id of the newest entry ever appended, `0-0` for a stream that never was."""
        with _told(self._name):
            if not self._client.exists(stream):
                return "0-0"
            return _text(self._client.xinfo_stream(stream)["last-generated-id"])

    def has_entry(self, stream: str, entry_id: str) -> bool:
        """Whether the stream still holds this entry."""
        with _told(self._name):
            return bool(self._client.xrange(stream, entry_id, entry_id, count=1))

    def is_whole(self, stream: str) -> bool:
        """Whether a stream still holds every entry it ever got; so does one that never was."""
        with _told(self._name):
            if not self._client.exists(stream):
                return True
            about = self._client.xinfo_stream(stream)
            return bool(about["entries-added"] == about["length"])

    def memory(self) -> list[NodeMemory]:
        """What every primary says about its memory."""
        with _told(self._name):
            if not self.is_cluster:
                return [_memory(self._client.info("memory"))]
            found = self._client.info("memory", target_nodes=RedisCluster.PRIMARIES)
            nodes = [found] if "used_memory" in found else list(found.values())
            return [_memory(node) for node in nodes]

    def bytes_of(self, keys: Sequence[bytes]) -> int:
        """The memory that these keys take, key and bookkeeping included."""
        with _told(self._name):
            return sum(self._client.memory_usage(key, samples=0) or 0 for key in keys)

    def slot(self, key: bytes) -> int:
        """The slot a Cluster places `key` in; 0 for a single server."""
        return self._client.keyslot(key) if self.is_cluster else 0

    def _run(
        self, digest: str, calls: Sequence[tuple[Sequence[bytes], Sequence[Any]]]
    ) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for keys, arguments in calls:
            pipeline.execute_command("EVALSHA", digest, len(keys), *keys, *arguments)
        return pipeline.execute()

    def _digest(self, script: ScriptName) -> str:
        if script not in self._digests:
            self._digests[script] = _text(self._client.script_load(SCRIPTS[script]))
        return self._digests[script]


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except (redis.exceptions.RedisError, OSError) as fault:
        raise Unavailable(f"{name}: {type(fault).__name__}: {fault}") from fault


def _entries(found: Any) -> list[Entry]:
    """XREAD's answer for one stream: a mapping under RESP3, pairs under RESP2."""
    if not found:
        return []
    ((_, entries),) = found.items() if isinstance(found, dict) else found
    if isinstance(found, dict) and entries and isinstance(entries[0], list):
        entries = entries[0]
    return [
        Entry(_text(entry_id), {_text(name): value for name, value in (fields or {}).items()})
        for entry_id, fields in entries
    ]


def _memory(info: dict[str, Any]) -> NodeMemory:
    return NodeMemory(
        used=int(info["used_memory"]),
        limit=int(info.get("maxmemory", 0)),
        system=int(info.get("total_system_memory", 0)),
        policy=str(info.get("maxmemory_policy", "noeviction")),
    )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
