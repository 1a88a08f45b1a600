"""The services that `experiment_bench.py` asks: two plain ones, and ones with an experiment."""

import json
import os
import sys
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from loadtest.experiment_bench import (
    AGAIN,
    CONTROL,
    ONE_BUNDLE,
    PLAIN,
    TREATMENT,
    TWO_BUNDLES,
)
from loadtest.processes import Server, free_port, serving
from relevance.experiments.plan import read_plan

PLAN = "experiments.toml"


def standing(
    stack: ExitStack, folder: Path, store: Path, treatment: Path | None, *, log_rate: float
) -> dict[str, Server]:
    """The services, ready; `stack` stops them. That of two bundles is there with a treatment."""
    plain = {"ELLM_STORE": str(store), "ELLM_LOG_REQUESTS": "none"}
    settings = {
        PLAIN: plain,
        ONE_BUNDLE: plain | _experiment(folder / "one", store, log_rate=log_rate),
        AGAIN: plain,
    }
    if treatment is not None:
        given = _experiment(folder / "two", treatment, log_rate=log_rate)
        settings[TWO_BUNDLES] = plain | given
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


def _experiment(folder: Path, treatment: Path, *, log_rate: float) -> dict[str, str]:
    """The settings of an experiment with this treatment, half of the keys in either arm."""
    folder.mkdir()
    write_plan(folder / PLAN, treatment)
    return {
        "ELLM_EXPERIMENTS": str(folder / PLAN),
        "ELLM_PAIR_LOG": str(folder / "pairs"),
        "ELLM_PAIR_LOG_RATE": str(log_rate),
        "ELLM_PAIR_LOG_TEXT": "plain",
    }


def write_plan(path: Path, treatment: Path) -> None:
    """A plan whose treatment is this store."""
    path.write_text(
        f"""version = 1
[variants.treatment]
store = {json.dumps(str(treatment.resolve()))}
timeout_ms = 1000
[[experiments]]
name = "overhead"
salt = "overhead/1"
percent = {{ control = 50, treatment = 50 }}
""",
        encoding="utf-8",
    )


def keys_of(path: Path) -> dict[str, str]:
    """A key of control and one of the treatment, by the plan at `path`: every such plan's."""
    plan, found = read_plan(path), dict[str, str]()
    for number in count():
        assigned = plan.assign(f"key {number}")
        assert assigned is not None  # all keys are in
        found.setdefault(assigned.variant, assigned.key)
        if found.keys() == {CONTROL, TREATMENT}:
            return found
    raise AssertionError
