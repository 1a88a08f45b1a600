"""Shards over Ray: two local workers write what one process writes."""

from pathlib import Path

import pytest

from relevance.errors import Unavailable
from teacher.judge_job import run_job
from teacher.judge_progress import Prices
from teacher.judge_ray import LOCAL, Cluster
from tests.teacher.recorded_endpoint import Behaviour, recorded_server
from tests.teacher.test_judge_job import content, llm_job

RAY_IGNORES = [
    "ignore::DeprecationWarning:ray",
    "ignore::FutureWarning:ray",
    "ignore::ResourceWarning",
    "ignore::pytest.PytestUnraisableExceptionWarning",
]
pytestmark = [pytest.mark.slow, *(pytest.mark.filterwarnings(one) for one in RAY_IGNORES)]


def test_two_workers_write_the_bytes_of_one_process(tmp_path: Path) -> None:
    """Every shard once, wherever it was judged; the driver sums up what they took."""
    with recorded_server() as server:
        run_job(llm_job([server], tmp_path), tmp_path / "here", prices=Prices())
        done = run_job(
            llm_job([server], tmp_path),
            tmp_path / "ray",
            prices=Prices(),
            cluster=Cluster(LOCAL, workers=2),
        )

    assert content(tmp_path / "ray") == content(tmp_path / "here")
    assert done.meter.pairs == 14
    assert done.meter.usage.prompt > 1000


def test_a_worker_s_fault_ends_the_job_with_its_own_words(tmp_path: Path) -> None:
    """And what was judged is kept for the next run."""
    with recorded_server(Behaviour(always="401")) as server:
        with pytest.raises(Unavailable, match="401"):
            run_job(
                llm_job([server], tmp_path),
                tmp_path / "ray",
                prices=Prices(),
                cluster=Cluster(LOCAL, workers=2),
            )
        server.behaviour.always = ""
        run_job(llm_job([server], tmp_path), tmp_path / "ray", prices=Prices())
        run_job(llm_job([server], tmp_path), tmp_path / "here", prices=Prices())

    assert content(tmp_path / "ray") == content(tmp_path / "here")
