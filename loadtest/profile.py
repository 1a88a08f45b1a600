"""Where the time of a live service goes under load, by py-spy: shares of its busy samples."""

import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from loadtest.bare_client import BareConnection
from loadtest.open_loop import Request
from loadtest.processes import Server
from loadtest.tables import table
from relevance.errors import Unavailable

RATE = 400  # samples a second
CONNECTIONS = 2
PARTS = {  # a function on the stack, from the deepest on, names the part
    "encode_query": "encoding the query",
    "score_found": "scoring rows",
    "find": "looking up ids",
    "best_first": "ordering",
    "rank": "the rest of ranking",
    "read_body": "reading the body",
    "answer": "the rest of the route",
}
ELSEWHERE = "HTTP, event loop and the rest"


def profile(server: Server, stream: Iterator[Request], *, seconds: int, folder: Path) -> str:
    """Sample under closed-loop load; the stacks and a flame graph are left in `folder`."""
    spy = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which("py-spy")
    if spy is None:
        raise Unavailable("py-spy is not installed\nhint: pip install 'ellm-mkd[loadtest]'")
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "profile.raw"
    words = [spy, "record", "--pid", server.process_id, "--rate", RATE, "--duration", seconds]
    stop = time.monotonic() + seconds + 3
    threads = _loading(server, stream, stop)
    run = subprocess.run(
        [*map(str, words), "--format", "raw", "--output", str(raw), "--nonblocking"],
        capture_output=True,
        text=True,
        check=False,
    )
    for thread in threads:
        thread.join()
    if run.returncode:
        raise Unavailable(f"py-spy: {run.stderr.strip()[-500:]}")
    return profile_table(raw.read_text().splitlines())


def profile_table(stacks: Iterable[str]) -> str:
    """Shares by part of `py-spy record --format raw`: stack, a blank, a count."""
    counts = Counter[str]()
    leaves = Counter[str]()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        counts[_part(frames)] += int(count)
        leaves[frames[-1]] += int(count)
    total = sum(counts.values())
    if not total:
        raise Unavailable("py-spy: no sample of a busy thread")
    parts = [(name, f"{count / total:.1%}") for name, count in counts.most_common()]
    deepest = [(name, f"{count / total:.1%}") for name, count in leaves.most_common(15)]
    return "\n\n".join(
        [
            f"{total:,} samples of busy threads",
            table(("part", "share"), parts),
            table(("deepest Python frame", "share"), deepest),
        ]
    )


def _part(frames: list[str]) -> str:
    for frame in reversed(frames):
        name = frame.partition(" ")[0]
        if name in PARTS:
            return PARTS[name]
    return ELSEWHERE


def _loading(server: Server, stream: Iterator[Request], stop: float) -> list[threading.Thread]:
    lock = threading.Lock()

    def ask() -> None:
        with BareConnection(server.port) as connection:
            while time.monotonic() < stop:
                with lock:
                    request = next(stream)
                connection.post(request.path, request.body)

    threads = [threading.Thread(target=ask) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    return threads
