"""Runs a judging or annotating job as a process that is killed again and again, then lets it end.

`python -m tests.teacher.killed_jobs KIND FOLDER OUT KILLS SEED [URL]` forks one life after another
from a process that has imported everything and done nothing. The last life is left alone.

A life counts what it has finished, shards renamed or records journalled, and dies of an alarm a
random moment after one of the first: no handler runs, as with SIGKILL. Another process that looks
and kills would be outrun on a quick machine, or come too late on a busy one.
"""

import os
import random
import signal
import sys
import threading
from itertools import count
from pathlib import Path
from types import FrameType

from relevance.records import read_catalogue, read_pairs
from teacher.annotation import annotate_pairs
from teacher.journal import Journal
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
LONGEST_AFTER_S = 0.002
MOST_RENAMES, MOST_RECORDS = 2, 8


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


def die_soon_after_renames(renames: int, seconds: float) -> None:
    """Set an alarm that ends this process so long after its n-th rename."""
    left = count(renames - 1, -1)

    def heard(event: str, _: object) -> None:
        if event == "os.rename" and next(left) == 0:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    sys.addaudithook(heard)


def die_soon_after_records(records: int, seconds: float) -> None:
    """The same after the n-th record of a journal, whichever thread writes it."""
    left = count(records - 1, -1)

    def seen(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code is Journal.append.__code__ and next(left) == 0:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    threading.setprofile(seen)
    sys.setprofile(seen)


DEATHS = {
    "catalogue": (die_soon_after_renames, MOST_RENAMES),
    "llm": (die_soon_after_records, MOST_RECORDS),
    "annotate": (die_soon_after_records, MOST_RECORDS),
}


def main() -> None:
    """Kill so many lives; says how many really were killed."""
    kind, folder, folder_out, kills, seed, *url = sys.argv[1:]
    chance, killed, out = random.Random(int(seed)), 0, Path(folder_out)
    dies, most = DEATHS[kind]
    while killed < int(kills):
        finished, moment = chance.randint(1, most), chance.random()
        child = os.fork()
        if child == 0:
            dies(finished, moment * LONGEST_AFTER_S + 1e-6)
            live(kind, Path(folder), out, "".join(url))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break  # it had come to its end
        killed += 1
    else:
        live(kind, Path(folder), out, "".join(url))
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main()
