"""Runs a judging or annotating job as a process that is killed again and again, then lets it end.

`python -m tests.teacher.killed_jobs KIND FOLDER OUT KILLS SEED [URL]` forks one life after another
from a process that has imported everything and done nothing, waits until that life has written
something, and kills it (SIGKILL) a random moment later. The last life is left alone.

The catalogue's judge writes its shards faster than another process could follow on a quick machine;
so such a life counts its own renames and dies of an alarm a random moment after the first or the
second: no handler runs, as with SIGKILL.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from relevance.records import read_catalogue, read_pairs
from teacher.annotation import annotate_pairs
from teacher.judge_job import JudgeJob, run_job
from teacher.judge_plan import HeldOut
from teacher.judge_progress import Prices
from teacher.judge_recipes import CatalogueRecipe, LLMRecipe
from teacher.judge_run import RunLimits
from teacher.llm_annotator import AnnotatorOptions, LLMAnnotator
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.log_odds import LabelTokens
from tests.teacher.recorded_endpoint import BAD, GOOD

AT_ONCE = 4
LONGEST_LIFE_S = {"llm": 0.12, "annotate": 0.12}
LONGEST_AFTER_RENAME_S = 0.005
MOST_RENAMES = 2
ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT


def judge(folder: Path, out: Path, recipe: LLMRecipe | CatalogueRecipe) -> None:
    """One life of a judging job."""
    items = {item.item_id: item for item in read_catalogue(folder / "items.jsonl")}
    job = JudgeJob(recipe, folder / "pairs.parquet", items, HeldOut(), shard_pairs=16)
    run_job(job, out, prices=Prices())


def annotate(folder: Path, out: Path, url: str) -> None:
    """One life of an annotating job."""
    items = {item.item_id: item for item in read_catalogue(folder / "items.jsonl")}
    pairs = read_pairs(folder / "pairs.parquet", labelled=True)
    options = AnnotatorOptions(at_once=AT_ONCE)
    annotators = [
        LLMAnnotator((Endpoint(url, name),), options) for name in ("one-model", "another-model")
    ]
    for _ in annotate_pairs(pairs, items, annotators, out, samples=2):
        pass


def live(kind: str, folder: Path, out: Path, url: str) -> None:
    """One life."""
    if kind == "annotate":
        annotate(folder, out, url)
    elif kind == "catalogue":
        judge(folder, out, CatalogueRecipe(folder / "judge"))
    else:
        endpoints = (Endpoint(url, "recorded"),)
        limits = RunLimits(at_once=AT_ONCE)
        judge(folder, out, LLMRecipe(endpoints, LabelTokens(GOOD, BAD), limits=limits))


def state(out: Path) -> tuple[tuple[str, int], ...]:
    """What lies in a folder, as far as it can be seen."""
    if not out.exists():
        return ()
    found = []
    for path in out.iterdir():
        try:
            found.append((path.name, path.stat().st_size))
        except FileNotFoundError:  # renamed between the two looks
            continue
    return tuple(sorted(found))


def die_soon_after_renames(renames: int, seconds: float) -> None:
    """Set an alarm that ends this process so long after its n-th rename."""
    left = renames

    def count(event: str, _: object) -> None:
        nonlocal left
        if event == "os.rename":
            left -= 1
            if left == 0:
                signal.setitimer(signal.ITIMER_REAL, seconds)

    sys.addaudithook(count)


def wait_and_kill(child: int, out: Path, before: object, seconds: float) -> None:
    """Kill a child so long after it has written something."""
    while state(out) == before and os.waitid(os.P_PID, child, ENDED) is None:
        time.sleep(0.001)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)


def main() -> None:
    """Kill so many lives; says how many really were killed."""
    kind, folder, folder_out, kills, seed, *url = sys.argv[1:]
    chance, killed, out = random.Random(int(seed)), 0, Path(folder_out)
    while killed < int(kills):
        before = state(out)
        renames, moment = chance.randint(1, MOST_RENAMES), chance.random()
        child = os.fork()
        if child == 0:
            if kind == "catalogue":
                die_soon_after_renames(renames, moment * LONGEST_AFTER_RENAME_S + 1e-6)
            live(kind, Path(folder), out, "".join(url))
            os._exit(0)
        if kind != "catalogue":
            wait_and_kill(child, out, before, moment * LONGEST_LIFE_S[kind])
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break  # it had come to its end
        killed += 1
    else:
        live(kind, Path(folder), out, "".join(url))
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main()
