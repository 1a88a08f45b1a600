"""Language models as annotators: two at once, samples journalled, faults told, costs summed."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from relevance.domain import Item
from relevance.errors import Unavailable
from relevance.records import Pair, write_pairs
from teacher.annotation import Samples, annotate_pairs, read_annotations, read_costs
from teacher.commands import app
from teacher.llm_annotator import AnnotatorOptions, LLMAnnotator
from teacher.online.llm.client import Patience
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.retries import Retries
from tests.teacher.make_teacher import catalogue, labelled_pairs
from tests.teacher.recorded_endpoint import Behaviour, RecordedServer, full_answer, recorded_server

ITEMS = {item.item_id: item for item in catalogue()}
PAIRS = labelled_pairs()[:6]
ASKED: Sequence[tuple[str, Item]] = [(p.query, ITEMS[p.item_id]) for p in PAIRS]
QUICK = Patience(
    timeout_s=1.0,
    retries=Retries(attempts=3, patience_s=60.0, first_wait_s=0.001, longest_wait_s=0.01),
    rest_s=0.05,
)


def annotator(
    server: RecordedServer, *, model: str = "m", structured: bool = True, at_once: int = 3
) -> LLMAnnotator:
    options = AnnotatorOptions(patience=QUICK, at_once=at_once, structured=structured)
    return LLMAnnotator((Endpoint(server.url, model),), options)


@pytest.mark.parametrize("structured", [True, False])
def test_every_pair_gets_its_samples_and_what_they_cost(tmp_path: Path, structured: bool) -> None:
    """As many as asked for, each what the model says of the pair."""
    with recorded_server() as server:
        one = annotator(server, structured=structured)
        written = one.annotate(ASKED, samples=3, journal=tmp_path / "j")

        messages = server.behaviour.chats[0]["messages"]
    assert [len(texts) for texts in written.texts] == [3] * 6
    assert written.texts[0][0] in {full_answer(messages), *written.texts[0]}
    assert written.costs["samples"] == 18
    assert written.costs["prompt_tokens"] > 1000


def test_what_was_journalled_is_not_asked_again(tmp_path: Path) -> None:
    """A run that was stopped asks for the rest, and the samples are those of one run."""
    with recorded_server() as server:
        whole = annotator(server).annotate(ASKED, samples=2, journal=tmp_path / "whole")
        asked = server.behaviour.seen["/v1/chat/completions"]
        stops = Behaviour(faults=[""] * 9 + ["401"] * 9)
        with recorded_server(stops) as stopping, pytest.raises(Unavailable, match="401"):
            annotator(stopping).annotate(ASKED, samples=2, journal=tmp_path / "j")
        again = annotator(server).annotate(ASKED, samples=2, journal=tmp_path / "j")

        assert again == whole
        assert server.behaviour.seen["/v1/chat/completions"] - asked < asked


@pytest.mark.parametrize("structured", [True, False])
def test_no_reply_is_asked_for_twice(tmp_path: Path, structured: bool) -> None:
    """Stopped after any number of replies; but for one that was under way as another failed."""

    def annotated(server: RecordedServer, journal: str) -> Samples:
        one = annotator(server, structured=structured, at_once=1)
        return one.annotate(ASKED[:2], samples=2, journal=tmp_path / journal)

    with recorded_server() as server:
        whole = annotated(server, "whole")
        total = server.behaviour.seen["/v1/chat/completions"]

    for answered in range(total):
        stops = Behaviour(faults=[""] * answered + ["401"] * 9)
        with recorded_server(stops) as stopping, pytest.raises(Unavailable, match="401"):
            annotated(stopping, f"{answered}")
        with recorded_server() as server:
            assert annotated(server, f"{answered}") == whole
            rest = server.behaviour.seen["/v1/chat/completions"]

        assert total - answered <= rest <= total - answered + structured


def test_a_pair_that_cannot_be_annotated_is_counted(tmp_path: Path) -> None:
    """It has no samples; the others have theirs."""
    with recorded_server(Behaviour(faults=["400"])) as server:
        written = annotator(server).annotate(ASKED, samples=2, journal=tmp_path / "j")

    assert sorted(len(texts) for texts in written.texts) == [0, 2, 2, 2, 2, 2]
    assert written.costs["fault: refused"] == 1


def test_a_run_whose_pairs_keep_failing_ends(tmp_path: Path) -> None:
    """A server that knows no structured outputs, say, must not cost a night."""
    many = list(ASKED) * 5
    with (
        recorded_server(Behaviour(always="400")) as server,
        pytest.raises(Unavailable, match="20 of 20 pairs failed"),
    ):
        annotator(server).annotate(many, samples=2, journal=tmp_path / "j")


def test_two_models_annotate_side_by_side(tmp_path: Path) -> None:
    """Rows of both, costs of each, and no journal is left."""
    with recorded_server() as one, recorded_server() as other:
        both = [annotator(one, model="one"), annotator(other, model="other")]
        list(annotate_pairs(PAIRS, ITEMS, both, tmp_path, samples=2))

    (first, *_) = read_annotations(tmp_path)
    assert [a.annotator.partition(":")[0] for a in first.annotations] == ["one"] * 2 + ["other"] * 2
    assert all(a.thought for a in first.annotations)
    assert [costs["pairs"] for costs in read_costs(tmp_path).values()] == [6, 6]
    assert [path.name for path in tmp_path.iterdir()] == ["part-000000.parquet"]


def test_from_endpoints_to_chains_to_learn_from(tmp_path: Path) -> None:
    """The same files and the same selection as with the catalogue's annotators."""
    fields = [{"item_id": i.item_id, "title": i.title} for i in ITEMS.values()]
    (tmp_path / "items.jsonl").write_text("\n".join(map(json.dumps, fields)))
    labelled = [Pair(p.query, p.item_id, p.good) for p in labelled_pairs()[:8]]
    write_pairs(tmp_path / "pairs.parquet", labelled)

    def invoke(*words: object) -> str:
        result = CliRunner().invoke(app, [str(w) for w in words], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    with recorded_server() as one, recorded_server(Behaviour(model="served")) as other:
        said = invoke(
            *("annotate", "--endpoint", f"big={one.url}", "--endpoint", other.url),
            *("--items", tmp_path / "items.jsonl", "--pairs", tmp_path / "pairs.parquet"),
            *("--samples", 2, "--out", tmp_path / "samples"),
        )
    invoke(
        *("select", "--annotations", tmp_path / "samples", "--pairs", tmp_path / "pairs.parquet"),
        *("--out", tmp_path / "sft.parquet", "--statistics", tmp_path / "counts.json"),
    )

    counts = json.loads((tmp_path / "counts.json").read_text())
    assert counts["pairs"] == 8
    assert counts["drop_rate"] < 1
    assert {name.partition(":")[0] for name in counts["costs"]} == {"big", "served"}
    assert all(costs["prompt_tokens"] > 0 for costs in counts["costs"].values())
    assert "prompt_tokens" in said
