"""The services that `experiment_bench.py` asks: two plain ones, and one with an experiment."""

import json
import os
import sys
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from loadtest.experiment_bench import AGAIN, BOTH, CANDIDATE, CONTROL, PLAIN
from loadtest.processes import Server, free_port, serving
from relevance.experiments.plan import read_plan

PLAN = "experiments.toml"


def standing(
    stack: ExitStack, folder: Path, store: Path, candidate: Path, *, log_rate: float
) -> dict[str, Server]:
    """The three services, ready; `stack` stops them."""
    (folder / PLAN).write_text(
        f"""version = 1
[variants.candidate]
store = {json.dumps(str(candidate.resolve()))}
timeout_ms = 1000
[[experiments]]
name = "overhead"
salt = "overhead/1"
percent = {{ control = 50, candidate = 50 }}
""",
        encoding="utf-8",
    )
    experiment = {
        "ELLM_EXPERIMENTS": str(folder / PLAN),
        "ELLM_PAIR_LOG": str(folder / "pairs"),
        "ELLM_PAIR_LOG_RATE": str(log_rate),
        "ELLM_PAIR_LOG_TEXT": "plain",
    }
    plain = {"ELLM_STORE": str(store), "ELLM_LOG_REQUESTS": "none"}
    settings = {PLAIN: plain, BOTH: {**plain, **experiment}, AGAIN: plain}
    servers = {}
    for name, given in settings.items():
        port = free_port()
        servers[name] = stack.enter_context(
            serving(
                name,
                [sys.executable, "-m", "relevance", "serve", "--port", str(port)],
                port=port,
                log=folder / f"{name}.log",
                environment={**os.environ, **given},
            )
        )
    return servers


def keys_of(folder: Path) -> dict[str, str]:
    """A key of control and one of the candidate."""
    plan, found = read_plan(folder / PLAN), dict[str, str]()
    arms = {"control": CONTROL, "candidate": CANDIDATE}
    for number in count():
        assigned = plan.assign(f"key {number}")
        assert assigned is not None  # all keys are in
        found.setdefault(arms[assigned.variant], assigned.key)
        if len(found) == len(arms):
            return found
    raise AssertionError
