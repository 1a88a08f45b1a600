"""MaxSim of random rows of a large arena, gather included, against other libraries.

    ours        the bundle's graph: Gather → MatMulInteger → ReduceMax, uint8, exact
    gather      copying the same bytes out of the arena and nothing else: the floor
    NumPy       float32 embeddings, gathered, one matrix product, maximum
    maxsim-cpu  float32, gathered, its own kernel (the package `maxsim-cpu`)
    NumKong     int8, gathered, packed integer products (the package `numkong`), maximum in NumPy

Float contestants read an arena of their own of the same number of bytes, so four times fewer
items: random access costs them no more. A library that is not installed has no row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType

import numpy as np
import onnxruntime as ort

from exporter.benchmark.timing import Timing, take_turns
from exporter.maxsim_graph import maxsim_graph
from relevance.late_interaction import QUERY_LIMIT

QUERY_TOKENS, ROWS, DIM = 16, 32, 128
DRAWS = 16  # different random candidate lists, so that caches cannot learn one

Contestant = Callable[[], object]


@dataclass(frozen=True, slots=True)
class MaxSimBench:
    """Milliseconds by contestant for `candidates` items out of `arena_bytes`."""

    candidates: int
    arena_bytes: int
    timings: dict[str, Timing]


def bench_maxsim(*, arena_bytes: int, candidates: int = 1000, turns: int = 60) -> MaxSimBench:
    """Time every contestant that is installed on the same sizes, on one thread."""
    random = np.random.default_rng(0)
    items = arena_bytes // (ROWS * DIM)
    arena = random.integers(0, 256, (items, ROWS, DIM), dtype=np.uint8)
    floats = random.standard_normal((items // 4, ROWS, DIM), dtype=np.float32)
    steps = random.integers(-QUERY_LIMIT, QUERY_LIMIT + 1, (QUERY_TOKENS, DIM), dtype=np.int8)
    contestants: dict[str, Contestant] = {
        "ours": _ours(arena, steps, _lists(random, items, candidates)),
        "gather": _gather(arena, _lists(random, items, candidates)),
        "NumPy": _numpy(floats, steps, _lists(random, len(floats), candidates)),
    }
    if (library := _installed("maxsim_cpu")) is not None:
        lists = _lists(random, len(floats), candidates)
        contestants["maxsim-cpu"] = _maxsim_cpu(library, floats, steps, lists)
    if (library := _installed("numkong")) is not None:
        lists = _lists(random, items, candidates)
        contestants["NumKong"] = _numkong(library, arena, steps, lists)
    timings = take_turns(contestants, turns=turns)
    return MaxSimBench(candidates, arena.nbytes, timings)


class _Lists:
    """Candidate lists, one after the other."""

    def __init__(self, lists: np.ndarray) -> None:
        self._lists = lists
        self._turn = 0

    def next(self) -> np.ndarray:
        self._turn += 1
        chosen: np.ndarray = self._lists[self._turn % len(self._lists)]
        return chosen


def _lists(random: np.random.Generator, items: int, candidates: int) -> _Lists:
    return _Lists(random.integers(0, items, (DRAWS, candidates), dtype=np.int64))


def _ours(arena: np.ndarray, steps: np.ndarray, lists: _Lists) -> Contestant:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    graph = maxsim_graph(dim=DIM).SerializeToString()
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(
        ["maxima"], {"query": steps, "arena": arena, "positions": lists.next()}
    )


def _gather(arena: np.ndarray, lists: _Lists) -> Contestant:
    copied = np.empty((len(lists.next()), *arena.shape[1:]), arena.dtype)
    return lambda: np.take(arena, lists.next(), axis=0, out=copied, mode="clip")


def _numpy(floats: np.ndarray, steps: np.ndarray, lists: _Lists) -> Contestant:
    columns = np.ascontiguousarray(steps.astype(np.float32).T)
    return lambda: (
        (floats[lists.next()].reshape(-1, DIM) @ columns)
        .reshape(-1, ROWS, QUERY_TOKENS)
        .max(axis=1)
    )


def _maxsim_cpu(
    library: ModuleType, floats: np.ndarray, steps: np.ndarray, lists: _Lists
) -> Contestant:
    query = steps.astype(np.float32)
    return lambda: library.maxsim_scores(query, floats[lists.next()])


def _numkong(
    library: ModuleType, arena: np.ndarray, steps: np.ndarray, lists: _Lists
) -> Contestant:
    """The arena's bytes read as int8: the values differ from ours, the work does not."""
    signed = arena.view(np.int8)
    packed = library.dots_pack(steps, "int8")

    def run() -> object:
        rows = signed[lists.next()].reshape(-1, DIM)
        dots = np.asarray(library.dots_packed(rows, packed))
        return dots.reshape(-1, ROWS, QUERY_TOKENS).max(axis=1)

    return run


def _installed(module: str) -> ModuleType | None:
    try:
        return import_module(module)
    except ModuleNotFoundError:
        return None
