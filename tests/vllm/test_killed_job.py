"""A judging job on the real engine, killed with SIGKILL again and again, beside one that was not.

Continuous batching is not reproducible bit by bit, so what is compared is which rows there are and,
where the words before the judgement are the same, the log-odds. That a deterministic endpoint
leads to the same bytes is tested beside the job itself (`tests/teacher`).
"""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from relevance.domain import Judgement, Target
from relevance.records import read_judgements
from teacher.judge_shards import shard_files
from tests.vllm.proof import TUNED, Shops
from tests.vllm.shops import first_queries

pytestmark = [pytest.mark.slow, pytest.mark.network]

PAIRS, SHARD = 48, 16
KILLED_AT = (3, 14, 30)  # judged pairs that lie on disk when a life ends
SAME = 1e-2  # log-odds
_LONGEST_LIFE_S = 900.0


def judging(shops: Shops, pairs: Path, address: str, out: Path) -> list[str]:
    """The command; few pairs at once, so that a kill finds some done and some not begun."""
    return [
        *(sys.executable, "-m", "relevance", "teach", "judge", "--endpoint", address, *TUNED),
        *("--items", f"{shops.unseen}_items.parquet", "--pairs", str(pairs), "--out", str(out)),
        *("--target", "cot", "--target", "direct"),
        *("--shard-pairs", str(SHARD), "--at-once", "2"),
    ]


def on_disk(out: Path) -> int:
    """Pairs whose results lie in a shard, or in the journal of one that is not finished."""
    shards = {path.stem for path in out.glob("shard-*.parquet")}
    journals = [path for path in out.glob("*.journal") if path.stem not in shards]
    return SHARD * len(shards) + sum(path.read_bytes().count(b"\n") for path in journals)


def kill_once(command: Sequence[str], out: Path, *, at: int) -> int:
    """Start the job, kill it when so many pairs are on disk; how many there are afterwards."""
    deadline = time.monotonic() + _LONGEST_LIFE_S
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as life:
        while on_disk(out) < at and life.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        life.kill()
        said = life.communicate()[1].decode()
    assert life.returncode == -9, f"expected to kill a running job, it had ended: {said[-2000:]}"
    return on_disk(out)


def judgements_of(out: Path) -> dict[tuple[str, str, Target], Judgement]:
    rows = [row for path in shard_files(out) for row in read_judgements(path)]
    found = {(row.query, row.item_id, row.target): row for row in rows}
    assert len(found) == len(rows)
    return found


def test_a_killed_job_judges_the_pairs_it_would_have(
    shops: Shops, address: str, tmp_path: Path
) -> None:
    """The same rows, each once; behind the same words the log-odds differ by less than 0.01."""
    asked = first_queries(shops.judged, tmp_path / "pairs.parquet", most=PAIRS)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(judging(shops, tmp_path / "pairs.parquet", address, whole), check=True)
    again = judging(shops, tmp_path / "pairs.parquet", address, killed)

    left = [kill_once(again, killed, at=at) for at in KILLED_AT]
    subprocess.run(again, check=True)

    assert left == sorted(left)  # nothing that was judged is lost
    assert left[-1] < PAIRS
    undisturbed, resumed = judgements_of(whole), judgements_of(killed)
    assert resumed.keys() == undisturbed.keys()
    assert Counter(target for _, _, target in resumed) == {Target.COT: PAIRS, Target.DIRECT: PAIRS}
    assert {key[:2] for key in resumed} == {(pair.query, pair.item_id) for pair in asked}
    same_words = [
        key
        for key, row in resumed.items()
        if key[2] is Target.DIRECT or _reasons(row) == _reasons(undisturbed[key])
    ]
    assert len(same_words) >= 0.9 * len(resumed)  # near-ties may be written otherwise
    for key in same_words:
        assert resumed[key].log_odds == pytest.approx(undisturbed[key].log_odds, abs=SAME)


def _reasons(row: Judgement) -> object:
    """What stands before the judgement."""
    return None if row.chain_of_thought is None else row.chain_of_thought.findings
