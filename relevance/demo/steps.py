"""Content-addressed steps: a command runs only if its words, inputs or code changed since.

A step is one `ellm` command with the files it reads and writes. Its key is a hash of all of that;
what it wrote is trusted while the key it was written under stays the same.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter

from relevance.atomic import write_text
from relevance.errors import RelevanceError

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One command. `packages` are the folders whose code decides its outcome."""

    name: str
    title: str
    words: tuple[str, ...]
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StepRun:
    """How a step ended; `seconds` are those of the run that wrote the outputs."""

    name: str
    seconds: float
    reused: bool


class StepFailed(RelevanceError):
    """A step's command ended badly; it has said why itself."""

    def __init__(self, step: Step, code: int) -> None:
        super().__init__(f"step `{step.name}` failed; again with: ellm {' '.join(step.words)}")
        self.exit_code = code


def run_steps(steps: Sequence[Step], record: Path, *, say: Say) -> tuple[StepRun, ...]:
    """Run or reuse each step in order; `record` is the folder of their stamps."""
    runs = []
    for number, step in enumerate(steps, start=1):
        head = f"[{number}/{len(steps)}] {step.title}"
        stamp = record / f"{step.name}.json"
        key = step_key(step)
        finished = _finished(stamp, key, step)
        if finished is None:
            say(head)
            finished = _run(step)
            content = {"key": key, "seconds": finished, "command": ["ellm", *step.words]}
            write_text(stamp, json.dumps(content, indent=2) + "\n")
            runs.append(StepRun(step.name, finished, reused=False))
        else:
            say(f"{head}: reused")
            runs.append(StepRun(step.name, finished, reused=True))
    return tuple(runs)


def step_key(step: Step) -> str:
    """SHA-256 over the command, the inputs' bytes and the code of `packages`."""
    digest = hashlib.sha256(json.dumps(step.words).encode())
    for path in (*_files(step.inputs), *_code(step.packages)):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
        digest.update(path.name.encode())
    return digest.hexdigest()


def _finished(stamp: Path, key: str, step: Step) -> float | None:
    """Seconds of the run that left what this step would write; None where it must run."""
    if not stamp.is_file() or not all(path.exists() for path in step.outputs):
        return None
    content = json.loads(stamp.read_text())
    return float(content["seconds"]) if content["key"] == key else None


def _run(step: Step) -> float:
    for path in step.outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
    started = perf_counter()
    done = subprocess.run([sys.executable, "-m", "relevance", *step.words], check=False)
    if done.returncode:
        raise StepFailed(step, done.returncode)
    return perf_counter() - started


def _files(paths: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def _code(packages: Iterable[str]) -> list[Path]:
    """The packages' source and data files, so that changed code reruns what it made."""
    found: list[Path] = []
    for package in packages:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        folder = Path(spec.origin).parent
        found += sorted(
            path
            for path in folder.rglob("*")
            if path.suffix in (".py", ".toml", ".json", ".j2") and "demo" not in path.parts
        )
    return found
