"""Runs a judging or annotating job as a process that is killed again and again, then lets it end.

`python -m tests.teacher.killed_jobs KIND FOLDER OUT KILLS SEED [URL]` forks one life after another
from a process that has imported everything and done nothing, waits until that life has written
something, and kills it (SIGKILL) a random moment later. The last life is left alone.
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
LONGEST_LIFE_S = {"llm": 0.25, "catalogue": 0.05, "annotate": 0.25}


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


def main() -> None:
    """Kill so many lives; says how many really were killed."""
    kind, folder, out, kills, seed, *url = sys.argv[1:]
    chance, killed = random.Random(int(seed)), 0
    while True:
        before = state(Path(out))
        child = os.fork()
        if child == 0:
            live(kind, Path(folder), Path(out), "".join(url))
            os._exit(0)
        if killed == int(kills):
            break
        while state(Path(out)) == before and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, LONGEST_LIFE_S[kind]))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            break  # it had come to its end
        killed += 1
    if killed == int(kills):
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    sys.stdout.write(f"{killed}\n")


if __name__ == "__main__":
    main()
