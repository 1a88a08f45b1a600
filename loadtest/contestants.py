"""Who takes part in `ellm bench peers`: how each is started, asked and understood.

A contestant that cannot take part is named with the reason. Each has the settings its own
documentation recommends for CPUs; those that depend on the machine are tried out at its start.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from loadtest.own_service import own_service
from loadtest.processes import Server, free_port, serving
from loadtest.redis_memory import load_store, own_redis
from loadtest.service_bench import Call
from relevance.errors import Unavailable

PEERS = Path(__file__).parent / "peers"
CACHED_SHARE = 0.05  # of the generation that the service over Redis may hold
Asked = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class World:
    """What contestants are started from.

    `dump` holds what `service.benchmark.parts` dumped; the models lie in sentence-transformers'
    layout; `infinity` is the command of an environment that has it.
    """

    store: Path
    dump: Path
    bundle: Path
    scratch: Path
    peer_python: Path
    multi_vector: Path | None
    cross_encoder: Path | None
    infinity: Path
    texts: dict[str, str] = field(repr=False, default_factory=dict)


def _own_body(call: Call) -> Asked:
    return "/score", call.body


def _own_scores(reply: bytes, candidates: int) -> list[float]:
    found = [0.0] * candidates
    for row in json.loads(reply)["results"]:
        found[row["index"]] = row["score"]
    return found


def _rerank_scores(reply: bytes, candidates: int) -> list[float]:
    found = [0.0] * candidates
    for row in json.loads(reply)["results"]:
        found[row["index"]] = row["relevance_score"]
    return found


@dataclass(frozen=True, slots=True)
class Contestant:
    """A running server, what it is asked in, and how its reply is read in the order asked."""

    name: str
    server: Server
    body: Callable[[Call], Asked] = _own_body
    scores: Callable[[bytes, int], list[float]] = _own_scores


Starter = Callable[[World, ExitStack], Contestant]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table: its name, what it is, and how it is started."""

    name: str
    what: str
    start: Starter


def _service(world: World, stack: ExitStack) -> Contestant:
    server = stack.enter_context(own_service(world.store, world.scratch))
    return Contestant("service", server)


def _over_redis(world: World, stack: ExitStack) -> Contestant:
    port = stack.enter_context(own_redis(world.scratch))
    load_store(world.store, port)
    room = int((world.dump / "embeddings.npy").stat().st_size / 4 * CACHED_SHARE)
    settings = {"redis_url": f"redis://127.0.0.1:{port}", "arena_max_bytes": str(room)}
    server = stack.enter_context(own_service(world.store, world.scratch, settings=settings))
    return Contestant("over Redis", server)


def _script(name: str, script: str, model: str, world: World, stack: ExitStack) -> Contestant:
    folder = {
        "bundle": world.bundle,
        "multi_vector": world.multi_vector,
        "cross_encoder": world.cross_encoder,
    }[model]
    if folder is None:
        raise Unavailable(f"no model: --{model.replace('_', '-')} was not given")
    port = free_port()
    command = [world.peer_python, PEERS / script, port, world.dump, folder]
    server = stack.enter_context(
        serving(
            name,
            [str(word) for word in command],
            port=port,
            log=world.scratch / f"{name}.log",
            environment=os.environ,
        )
    )
    return Contestant(name, server)


def _infinity(world: World, stack: ExitStack) -> Contestant:
    if world.cross_encoder is None:
        raise Unavailable("no model: --cross-encoder was not given")
    if not world.infinity.exists():
        raise Unavailable(f"{world.infinity} is not there: `make build/peers/infinity-venv`")
    port = free_port()
    words = [
        *(world.infinity, "v2", "--model-id", world.cross_encoder, "--port", port),
        *("--host", "127.0.0.1", "--engine", "torch", "--device", "cpu", "--dtype", "float32"),
        *("--no-bettertransformer", "--no-compile", "--batch-size", 32, "--url-prefix", ""),
    ]
    server = stack.enter_context(
        serving(
            "infinity",
            [str(word) for word in words],
            port=port,
            log=world.scratch / "infinity.log",
            environment={**os.environ, "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1"},
            ready="/health",
        )
    )
    model = str(world.cross_encoder)

    def body(call: Call) -> Asked:
        documents = [world.texts[item_id] for item_id in call.item_ids]
        asked = {"model": model, "query": call.query, "documents": documents}
        return "/rerank", json.dumps(asked).encode()

    return Contestant("infinity", server, body, _rerank_scores)


ENTRIES = (
    Entry("service", "this service, embeddings in the local arena", _service),
    Entry("over Redis", f"this service, {CACHED_SHARE:.0%} cached, else from Redis", _over_redis),
    Entry(
        "precached",
        "sentence-transformers MeanMaxSim over the same embeddings as float32, FastAPI",
        partial(_script, "precached", "multi_vector_peer.py", "bundle"),
    ),
    Entry(
        "pooled",
        "FAISS flat, one pooled vector an item, FastAPI",
        partial(_script, "pooled", "pooled_peer.py", "bundle"),
    ),
    Entry(
        "re-encoding",
        "sentence-transformers multi-vector that encodes the texts each time, FastAPI",
        partial(_script, "re-encoding", "reencode_peer.py", "multi_vector"),
    ),
    Entry(
        "cross-encoder",
        "sentence-transformers CrossEncoder (torch), FastAPI",
        partial(_script, "cross-encoder", "cross_encoder_peer.py", "cross_encoder"),
    ),
    Entry(
        "cross-encoder ONNX",
        "the same as an int8 ONNX graph, FastAPI",
        partial(_script, "cross-encoder ONNX", "onnx_cross_encoder_peer.py", "cross_encoder"),
    ),
    Entry("infinity", "infinity-emb's /rerank with the same cross-encoder", _infinity),
)


@contextmanager
def standing(
    entries: Sequence[Entry], world: World
) -> Iterator[tuple[list[Contestant], dict[str, str]]]:
    """All that could be started, and why the others could not."""
    found, absent = [], {}
    with ExitStack() as stack:
        for entry in entries:
            sys.stderr.write(f"… starting {entry.name}\n")
            try:
                found.append(entry.start(world, stack))
            except (Unavailable, OSError) as fault:
                absent[entry.name] = str(fault).strip().splitlines()[-1]
        yield found, absent
