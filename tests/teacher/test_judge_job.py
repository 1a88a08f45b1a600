"""The judging job: exactly once, resumable, honest about what failed, the same bytes every time."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from relevance.domain import Judgement, Target
from relevance.errors import BadInput, Unavailable
from relevance.records import Pair, read_judgements, write_pairs
from teacher.commands import app
from teacher.judge_job import Finished, JudgeJob, run_job
from teacher.judge_pairs import judge_pairs
from teacher.judge_plan import HeldOut
from teacher.judge_progress import Meter, Prices
from teacher.judge_recipes import CatalogueRecipe, LLMRecipe
from teacher.judge_run import RunLimits
from teacher.judge_shards import shard_files
from teacher.online.catalogue import CatalogueJudge
from teacher.online.llm.client import Patience
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.judge import Judged, JudgeOptions
from teacher.online.llm.log_odds import LabelTokens
from teacher.online.llm.retries import Retries
from teacher.online.llm.wire import Usage
from teacher.signal_files import NO_TABLE
from tests.teacher.make_teacher import catalogue, labelled_pairs
from tests.teacher.recorded_endpoint import BAD, GOOD, Behaviour, RecordedServer, recorded_server

ITEMS = {item.item_id: item for item in catalogue()}
UNLABELLED = [Pair(p.query, p.item_id) for p in labelled_pairs()[:14]]
FREE = Prices()
QUICK = Retries(attempts=6, patience_s=60.0, first_wait_s=0.001, longest_wait_s=0.01)


def llm_job(
    servers: Sequence[RecordedServer],
    folder: Path,
    *,
    pairs: Sequence[Pair] = UNLABELLED,
    options: JudgeOptions | None = None,
    limits: RunLimits | None = None,
) -> JudgeJob:
    write_pairs(folder / "pairs.parquet", pairs)
    recipe = LLMRecipe(
        tuple(Endpoint(server.url, "recorded") for server in servers),
        LabelTokens(GOOD, BAD),
        options or JudgeOptions(),
        Patience(timeout_s=1.0, retries=QUICK, rest_s=0.05),
        limits or RunLimits(at_once=6),
    )
    return JudgeJob(recipe, folder / "pairs.parquet", ITEMS, HeldOut(), shard_pairs=4)


def run(job: JudgeJob, out: Path) -> Finished:
    return run_job(job, out, prices=FREE)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def keys(judgements: Sequence[Judgement]) -> list[tuple[str, str, Target]]:
    return [(j.query, j.item_id, j.target) for j in judgements]


def judgements_of(folder: Path) -> list[Judgement]:
    return [j for path in shard_files(folder) for j in read_judgements(path)]


def test_every_pair_and_target_is_judged_once_in_the_order_of_the_pairs(tmp_path: Path) -> None:
    """A manifest lists shards whose rows together are the whole job."""
    with recorded_server() as server:
        done = run(llm_job([server], tmp_path, pairs=[*UNLABELLED, UNLABELLED[0]]), tmp_path / "o")

    rows = judgements_of(tmp_path / "o")
    assert keys(rows) == [
        (p.query, p.item_id, t) for p in UNLABELLED for t in (Target.COT, Target.DIRECT)
    ]
    manifest = json.loads((tmp_path / "o" / "manifest.json").read_text())
    assert manifest["state"] == "complete"
    assert [s["rows"] for s in manifest["shards"]] == [8, 8, 8, 4]
    assert manifest["counts"]["pairs"] == 14
    assert done.repeated == 1
    assert done.summary.judgements == 28
    assert done.meter.cache_hits == pytest.approx(0.75)


def test_two_runs_and_two_servers_write_the_same_bytes(tmp_path: Path) -> None:
    """Nothing of time, order or place is written down."""
    with recorded_server() as one, recorded_server() as other:
        run(llm_job([one], tmp_path), tmp_path / "a")
        run(llm_job([one, other], tmp_path, limits=RunLimits(at_once=3)), tmp_path / "b")

    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_one_file_holds_what_the_shards_hold(tmp_path: Path) -> None:
    """`--out x.parquet` is the shards in one, and nothing is left beside it."""
    with recorded_server() as server:
        run(llm_job([server], tmp_path), tmp_path / "shards")
        run(llm_job([server], tmp_path), tmp_path / "one.parquet")

    assert list(read_judgements(tmp_path / "one.parquet")) == judgements_of(tmp_path / "shards")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.parquet", "pairs.parquet", "shards"]


def test_a_run_that_ended_goes_on_and_asks_only_for_the_rest(tmp_path: Path) -> None:
    """What was journalled is not asked again; the result is that of an undisturbed run."""
    with recorded_server() as server:
        run(llm_job([server], tmp_path), tmp_path / "whole")
        asked_whole = server.behaviour.seen["/v1/chat/completions"]
    half = Behaviour(faults=[""] * 30)
    with recorded_server(half) as server:
        half.faults += ["401"] * 6
        with pytest.raises(Unavailable, match="status 401"):
            run(llm_job([server], tmp_path), tmp_path / "out")
        half.faults.clear()
        before = half.seen["/v1/chat/completions"]
        done = run(llm_job([server], tmp_path), tmp_path / "out")
        again = half.seen["/v1/chat/completions"] - before

    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert again < asked_whole - 10
    assert done.line().startswith("14/14 pairs, ")
    assert 0 < done.meter.pairs < 14


@pytest.mark.parametrize("fault", ["garbage", "dies", "500", "429"])
def test_passing_faults_change_nothing(tmp_path: Path, fault: str) -> None:
    """Each costs a repeated request and not a row."""
    behaviour = Behaviour(faults=["", fault, "", "", fault, ""] * 3, retry_after="0")
    with recorded_server() as well, recorded_server(behaviour) as shaky:
        run(llm_job([well], tmp_path), tmp_path / "well")
        run(llm_job([shaky], tmp_path), tmp_path / "shaky")

    assert content(tmp_path / "well") == content(tmp_path / "shaky")


def test_an_endpoint_that_dies_in_the_middle_leaves_its_work_to_the_other(tmp_path: Path) -> None:
    """The job ends as if it had never been there."""
    with recorded_server() as well:
        run(llm_job([well], tmp_path), tmp_path / "well")
        with recorded_server(Behaviour(faults=[""] * 20)) as dying:
            dying.behaviour.faults += ["dies"] * 500
            run(llm_job([dying, well], tmp_path), tmp_path / "out")

    assert content(tmp_path / "out") == content(tmp_path / "well")


def test_pairs_that_cannot_be_judged_are_counted_and_the_rest_is(tmp_path: Path) -> None:
    """One poisoned request does not stop a job."""
    with recorded_server(Behaviour(faults=["400"])) as server:
        done = run(llm_job([server], tmp_path), tmp_path / "o")

    manifest = json.loads((tmp_path / "o" / "manifest.json").read_text())
    assert manifest["counts"]["fault: refused"] == 1
    assert manifest["counts"]["pairs"] == 14
    assert len(judgements_of(tmp_path / "o")) == 26
    assert done.meter.faults == {"refused": 1}


def test_a_job_whose_pairs_keep_failing_ends(tmp_path: Path) -> None:
    """A wrong setting must not fill a folder with nothing."""
    pairs = [Pair(f"query {n}", UNLABELLED[0].item_id) for n in range(80)]
    with (
        recorded_server(Behaviour(always="400")) as server,
        pytest.raises(Unavailable, match="50 of 50 pairs failed"),
    ):
        run(llm_job([server], tmp_path, pairs=pairs), tmp_path / "o")


def test_answers_cut_off_by_the_limit_of_tokens_are_counted(tmp_path: Path) -> None:
    """They have no chain of thought; their direct judgement stands."""
    with recorded_server() as server:
        done = run(
            llm_job([server], tmp_path, options=JudgeOptions(max_tokens=4)), tmp_path / "out"
        )

    assert done.meter.faults == {"truncated": 14}
    assert {j.target for j in judgements_of(tmp_path / "out")} == {Target.DIRECT}


def test_a_folder_of_another_job_is_refused_and_untouched(tmp_path: Path) -> None:
    """The message says what differs."""
    with recorded_server() as server:
        run(llm_job([server], tmp_path), tmp_path / "o")
        before = content(tmp_path / "o")
        other = llm_job([server], tmp_path, options=JudgeOptions(threshold=0.7))
        with pytest.raises(BadInput, match="differs in fingerprint"):
            run(other, tmp_path / "o")

    assert content(tmp_path / "o") == before


def test_an_unfinished_folder_is_not_read_as_a_whole(tmp_path: Path) -> None:
    """Half a pool must not become a training set."""
    with (
        recorded_server(Behaviour(always="401")) as server,
        pytest.raises(Unavailable),
    ):
        run(llm_job([server], tmp_path), tmp_path / "o")

    with pytest.raises(BadInput, match="goes on where it stopped"):
        shard_files(tmp_path / "o")


def test_the_catalogue_judge_writes_the_same_shards(judge_folder: Path, tmp_path: Path) -> None:
    """One job for both judges: shards hold what the judge says of each pair."""
    pairs = labelled_pairs()[:20]
    write_pairs(tmp_path / "pairs.parquet", pairs)
    job = JudgeJob(CatalogueRecipe(judge_folder), tmp_path / "pairs.parquet", ITEMS, HeldOut(), 6)

    done = run(job, tmp_path / "o")

    judge = CatalogueJudge.read(judge_folder)
    direct = list(judge_pairs(judge, pairs, ITEMS, NO_TABLE))
    found = judgements_of(tmp_path / "o")
    assert keys(found) == keys(direct)
    assert [j.held_out_of for j in found] == ["seen"] * 20
    assert [j.chain_of_thought for j in found] == [j.chain_of_thought for j in direct]
    assert done.summary.judgements == 20


def test_the_command_judges_over_http(tmp_path: Path) -> None:
    """From files to a file, with a report of tokens and speed."""
    write_pairs(tmp_path / "pairs.parquet", UNLABELLED[:5])
    lines = [{"item_id": i.item_id, "title": i.title, "brand": i.brand} for i in ITEMS.values()]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, lines)))
    with recorded_server() as server:
        words = ["judge", "--endpoint", server.url, "--items", tmp_path / "items.jsonl"]
        words += ["--pairs", tmp_path / "pairs.parquet", "--out", tmp_path / "o.parquet"]
        words += ["--target", "direct", "--report", tmp_path / "report.json", "--price-input", "2"]
        result = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)

    told = json.loads((tmp_path / "report.json").read_text())
    assert result.exit_code == 0, result.output
    assert pq.read_metadata(tmp_path / "o.parquet").num_rows == 5
    assert told["pairs"] == 5
    assert told["prompt_tokens_per_pair"] > 100
    assert told["projected_cost"] == pytest.approx(told["prompt_tokens_per_pair"] * 5 * 2e-6)
    assert "5/5 pairs" in result.output


@pytest.mark.parametrize("words", [[], ["--judge", "x", "--endpoint", "http://x"]])
def test_a_judge_must_be_named_once(tmp_path: Path, words: list[str]) -> None:
    """Either a folder or an endpoint."""
    more = ["--items", "i.csv", "--pairs", "p.csv", "--out", str(tmp_path / "o")]

    result = CliRunner().invoke(app, ["judge", *words, *more])

    assert isinstance(result.exception, BadInput)


def test_the_meter_projects_what_the_whole_job_takes() -> None:
    """Rate, time left and cost from what this run did, not from what was done before it."""
    now = [0.0]
    prices = Prices(input_million=1.0, output_million=2.0, hour=36.0)
    meter = Meter(1000, already=500, prices=prices, clock=lambda: now[0])
    now[0] = 10.0
    for _ in range(50):
        meter.add(Judged((), Usage(2000, 100), None))

    figures: dict[str, Any] = meter.content()

    assert meter.rate == 5.0
    assert meter.seconds_left == 90.0
    assert figures["seconds_per_1000_pairs"] == 200.0
    assert meter.projected_cost == pytest.approx((0.1 + 0.01 + 0.1) * 20)
    assert "550/1,000 pairs, 5.0 pairs/s, 0:01:30 left" in meter.line()
