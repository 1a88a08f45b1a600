"""Jobs killed at random moments: nothing lost, nothing doubled, the same bytes in the end."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from relevance.judgement_files import MANIFEST
from relevance.records import Pair, write_pairs
from teacher.annotation import read_annotations
from tests.teacher.killed_jobs import AT_ONCE
from tests.teacher.make_teacher import catalogue, labelled_pairs, written_judge

KILLS = 30
PAIRS = 400
_REQUESTS_OF_A_PAIR = 4
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("killed")
    written_judge(folder / "judge")
    items = catalogue()
    fields = [{"item_id": i.item_id, "title": i.title, "brand": i.brand} for i in items]
    (folder / "items.jsonl").write_text("\n".join(map(json.dumps, fields)))
    queries = [p.query for p in labelled_pairs()]
    pairs = [
        Pair(f"{queries[n % len(queries)]} {n % 7}", items[n % len(items)].item_id, bool(n % 2))
        for n in range(PAIRS)
    ]
    write_pairs(folder / "pairs.parquet", list(dict.fromkeys(pairs)))
    return folder


@contextmanager
def recorded_process() -> Iterator[str]:
    """The recorded endpoint as a process of its own; yields its address."""
    words = [sys.executable, "-m", "tests.teacher.recorded_endpoint", "--delay", "0.01"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def killed(kind: str, folder: Path, out: Path, *, kills: int, seed: int = 0, url: str = "") -> int:
    """Run a job with so many kills; how many there were."""
    words = [sys.executable, "-m", "tests.teacher.killed_jobs", kind, folder, out, kills, seed, url]
    told = subprocess.run(
        [str(word) for word in words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    return int(told.stdout)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def requests(url: str) -> int:
    """How many chat completions the process has answered."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/metrics") as reply:
        text = reply.read().decode()
    return round(float(text.splitlines()[0].split()[-1])) // 100


@pytest.mark.slow
def test_a_judging_job_killed_again_and_again_writes_what_it_would_have(
    shop: Path, tmp_path: Path
) -> None:
    """Byte for byte; and no more is asked again than what was under way at each kill."""
    with recorded_process() as url:
        assert killed("llm", shop, tmp_path / "whole", kills=0, url=url) == 0
        undisturbed = requests(url)
        times = killed("llm", shop, tmp_path / "killed", kills=KILLS, seed=1, url=url)
        asked = requests(url) - undisturbed

    assert times == KILLS
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    assert json.loads((tmp_path / "killed" / MANIFEST).read_text())["state"] == "complete"
    assert asked <= undisturbed + times * AT_ONCE * _REQUESTS_OF_A_PAIR


@pytest.mark.slow
def test_a_catalogue_job_killed_again_and_again_writes_what_it_would_have(
    shop: Path, tmp_path: Path
) -> None:
    """The same for the judge without a journal."""
    killed("catalogue", shop, tmp_path / "whole", kills=0)
    times = killed("catalogue", shop, tmp_path / "killed", kills=KILLS, seed=2)

    assert times >= 5  # two shards or so a life: it comes to its end before the last kill
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


@pytest.mark.slow
def test_annotating_killed_again_and_again_loses_nothing(shop: Path, tmp_path: Path) -> None:
    """Every sample once, as without kills; only what was under way at a kill is asked again."""
    with recorded_process() as url:
        killed("annotate", shop, tmp_path / "whole", kills=0, url=url)
        undisturbed = requests(url)
        times = killed("annotate", shop, tmp_path / "killed", kills=10, seed=3, url=url)
        asked = requests(url) - undisturbed

    assert times == 10
    assert list(read_annotations(tmp_path / "killed")) == list(read_annotations(tmp_path / "whole"))
    assert content(tmp_path / "killed") == content(tmp_path / "whole")
    under_way = 2 * AT_ONCE * 2  # annotators, their pairs, the two samples' second requests
    assert asked <= undisturbed + times * under_way
