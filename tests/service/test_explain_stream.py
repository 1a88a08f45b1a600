"""POST /explain as server-sent events, over a real server and a real upstream."""

import asyncio
import inspect
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn
from typer.testing import CliRunner

from relevance.chain_of_thought import render
from relevance.domain import Target
from relevance.errors import Unavailable
from service.async_client import AsyncRelevanceClient
from service.client import RelevanceClient
from service.client_plans import Rejected
from service.explain_commands import app, readable
from service.explain_llm import LLMExplainer, LLMOptions
from service.explain_wire import ExplainReply, Origin, TextDelta
from service.explanations import Explanations
from service.fakes import StandingService, WordJudge
from service.wire import InlineItem
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.judge import JudgeOptions
from tests.service.chat_server import PATIENCE_S, THOUGHT, ChatServer, Manner, chat_server
from tests.service.live_service import eventually, free_port
from tests.service.make_app import make_app, make_client

ASKED = {"query": "blue bottle", "item_id": "B001"}
EVENTS = {"accept": "text/event-stream"}


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture
def service(server, snapshot) -> Iterator[StandingService]:
    options = LLMOptions(
        endpoints=(Endpoint(server.url, "qwen"),),
        judge=JudgeOptions(targets=frozenset({Target.COT})),
        timeout_s=PATIENCE_S,
    )
    explanations = Explanations([LLMExplainer(options), WordJudge()])
    yield StandingService(snapshot, explanations=explanations)
    explanations.close()


def events_of(content: str) -> list[tuple[str, Any]]:
    found = []
    for block in content.split("\n\n"):
        named = [line for line in block.splitlines() if not line.startswith(":")]
        lines = dict(line.split(": ", 1) for line in named)
        if lines:
            found.append((lines["event"], json.loads(lines["data"])))
    return found


def streamed(service: StandingService, body: dict = ASKED, **headers: str) -> list[tuple[str, Any]]:
    reply = make_client(service).post("/explain", json=body, headers=EVENTS | headers)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.headers["cache-control"] == "no-store"
    return events_of(reply.text)


def test_the_alignment_comes_first_then_the_text_then_the_whole_reply(service) -> None:
    events = streamed(service)

    assert [name for name, _ in events[:2]] == ["alignment", "delta"]
    assert [name for name, _ in events].count("reply") == 1
    assert events[-1][0] == "reply"
    text = "".join(data["text"] for name, data in events if name == "delta")
    assert text == events[-1][1]["chain_of_thought"] == render(THOUGHT)
    assert {data["origin"] for name, data in events if name == "delta"} == {"llm"}


def test_the_first_event_holds_the_students_half_and_says_that_the_teacher_is_waited_for(
    service,
) -> None:
    events = dict(streamed(service))
    first, last = events["alignment"], events["reply"]

    assert first["teacher"]["state"] == "waiting"
    assert first["teacher"]["origin"] is None
    assert (first["aspects"], first["spans"], first["chain_of_thought"]) == ([], [], None)
    halves = set(first) - {"teacher", "aspects", "spans", "chain_of_thought"}
    assert {name: first[name] for name in halves} == {name: last[name] for name in halves}


def test_the_last_event_is_the_reply_without_a_stream(service) -> None:
    last = streamed(service)[-1][1]

    plain = make_client(service).post("/explain", json=ASKED).json()
    assert msgspec.convert(last, ExplainReply)
    assert last == plain
    assert last["teacher"]["score"] == pytest.approx(0.0759, abs=1e-4)


def test_a_field_of_the_body_asks_for_events_too(service) -> None:
    reply = make_client(service).post("/explain", json=ASKED | {"stream": True})

    assert events_of(reply.text)[-1][0] == "reply"


def test_a_remembered_answer_is_not_written_again(service, server) -> None:
    streamed(service)
    asked = len(server.bodies)

    assert [name for name, _ in streamed(service)] == ["alignment", "reply"]
    assert len(server.bodies) == asked


@pytest.mark.parametrize(
    ("manner", "state"),
    [(Manner.CHATTING, "unparsable"), (Manner.DYING, "unavailable"), (Manner.BUSY, "budget")],
)
def test_where_the_model_fails_the_reply_is_the_next_teachers(
    service, server, manner, state
) -> None:
    server.manner = manner

    last = streamed(service)[-1][1]

    assert last["teacher"]["state"] == state
    assert last["teacher"]["origin"] == "catalogue"
    assert last["teacher"]["tried"] == [
        {"origin": "llm", "state": state},
        {"origin": "catalogue", "state": "ok"},
    ]
    assert "steel" not in str(last["chain_of_thought"])


@pytest.mark.parametrize(
    ("body", "status"), [({"query": "x", "item_id": "nobody"}, 404), ({"query": "x"}, 422)]
)
def test_what_can_be_refused_at_once_is_an_ordinary_error(service, body, status) -> None:
    reply = make_client(service).post("/explain", json=body, headers=EVENTS)

    assert reply.status_code == status
    assert reply.json()["error"]["code"] in ("item_not_found", "invalid_request")


def test_each_stream_is_counted_with_everyone_asked(service, server) -> None:
    server.manner = Manner.FAILING
    streamed(service)

    (route, work) = service.telemetry.told[-1]
    assert route == "/explain"
    assert work.teacher == "unavailable"
    assert dict(work.asked) == {"llm unavailable": 1, "catalogue ok": 1}
    assert work.statuses == {"ok": 1}


def test_a_bug_in_the_middle_is_an_event_and_not_a_broken_stream(snapshot) -> None:
    class Broken(Explanations):
        def ask(self, *args: object, **kwargs: object) -> Any:
            raise ZeroDivisionError

    events = streamed(StandingService(snapshot, explanations=Broken([])))

    assert [name for name, _ in events] == ["alignment", "error"]
    assert events[-1][1]["error"]["code"] == "internal"


def test_silence_is_filled_with_comments(service, server, monkeypatch) -> None:
    monkeypatch.setattr("service.explain_stream.ALIVE_S", 0.02)
    server.manner = Manner.DRIPPING

    with served(service) as url, asking(url) as reply:
        lines = []
        for line in reply.iter_lines():
            lines.append(line)
            if line == ": waiting":
                server.let_go.set()

    assert ": waiting" in lines
    assert events_of("\n".join(lines))[-1][0] == "reply"


def test_the_alignment_is_there_while_the_model_still_writes(service, server) -> None:
    server.manner = Manner.DRIPPING

    with served(service) as url, asking(url) as reply:
        lines = reply.iter_lines()
        assert next(lines) == "event: alignment"
        assert server.begun.wait(PATIENCE_S)
        assert not server.let_go.is_set()


def test_a_client_that_goes_away_takes_the_call_upstream_with_it(service, server) -> None:
    server.manner = Manner.DRIPPING

    with served(service) as url:
        with asking(url) as reply:
            lines = reply.iter_lines()
            while next(lines) != "event: delta":
                pass
        assert server.hung_up.wait(PATIENCE_S)
        eventually(lambda: service.telemetry.told)

    assert service.telemetry.told[0][1].teacher is None
    assert len(server.chats) == 1


@contextmanager
def served(service: StandingService) -> Iterator[str]:
    """The routes behind a real server, which tells them when a client hangs up."""
    port = free_port()
    config = uvicorn.Config(
        make_app(service), port=port, log_config=None, lifespan="off", timeout_graceful_shutdown=5
    )
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    eventually(lambda: running.started)
    yield f"http://127.0.0.1:{port}"
    running.should_exit = True
    thread.join(PATIENCE_S)


@contextmanager
def asking(url: str) -> Iterator[httpx.Response]:
    with (
        httpx.Client(base_url=url, timeout=PATIENCE_S) as client,
        client.stream("POST", "/explain", json=ASKED, headers=EVENTS) as reply,
    ):
        yield reply


def test_the_typed_client_reads_the_events(service) -> None:
    with served(service) as url, RelevanceClient(url) as client:
        events = list(client.explain_stream("blue bottle", "B001"))
        plain = client.explain("blue bottle", "B001")

    first, *deltas, last = events
    assert isinstance(first, ExplainReply)
    assert first.teacher.state == "waiting"
    assert "".join(event.text for event in deltas if isinstance(event, TextDelta)) == render(
        THOUGHT
    )
    assert last == plain


def test_its_twin_for_asyncio_reads_the_same(service) -> None:
    async def read(url: str) -> list[Any]:
        async with AsyncRelevanceClient(url) as client:
            item = InlineItem(id="new", title="Red bottle")
            return [event async for event in client.explain_stream("blue bottle", item=item)]

    with served(service) as url:
        events = asyncio.run(read(url))
        with RelevanceClient(url) as client:
            item = InlineItem(id="new", title="Red bottle")
            same = list(client.explain_stream("blue bottle", item=item))

    assert [events[0], events[-1]] == same  # remembered by now: no text in between
    assert len(events) > 2


def test_a_typed_client_that_stops_listening_ends_the_teachers_work(service, server) -> None:
    server.manner = Manner.DRIPPING

    with served(service) as url, RelevanceClient(url) as client:
        events = client.explain_stream("blue bottle", "B001")
        assert next(events).teacher.state == "waiting"
        assert isinstance(next(events), TextDelta)
        events.close()
        assert server.hung_up.wait(PATIENCE_S)


def stream_of(content: str) -> RelevanceClient:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=content)

    return RelevanceClient("http://service", transport=httpx.MockTransport(answer))


def test_a_refusal_of_a_stream_is_an_ordinary_one(service) -> None:
    with (
        served(service) as url,
        RelevanceClient(url) as client,
        pytest.raises(Rejected, match="404 item_not_found"),
    ):
        list(client.explain_stream("steel", "nobody"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the stream ended before the reply"),
        ('event: delta\ndata: {"text": "x", "origin": "llm"}\n\n', "ended before the reply"),
        ("event: reply\ndata: [1]\n\n", "expected the event `reply`, got"),
        (
            'event: error\ndata: {"error": {"message": "no", "type": "t", "code": "internal", '
            '"param": null}}\n\n',
            "internal: no",
        ),
    ],
)
def test_a_stream_that_breaks_is_unavailable_in_words(content, said) -> None:
    with stream_of(content) as client, pytest.raises(Unavailable, match=said):
        list(client.explain_stream("steel", "B001"))


def test_events_of_later_versions_are_passed_over() -> None:
    delta = 'event: delta\ndata: {"text": "x", "origin": "llm"}\n'
    later = 'event: cost\ndata: {"tokens": 7}\n\n' + delta
    with stream_of(later) as client:
        events = client.explain_stream("steel", "B001")
        assert next(events) == TextDelta("x", Origin.LLM)
        with pytest.raises(Unavailable, match="ended"):
            next(events)


def test_both_clients_take_the_same_parameters() -> None:
    here, there = (
        inspect.signature(client.explain_stream).parameters
        for client in (RelevanceClient, AsyncRelevanceClient)
    )

    assert here == there


def test_the_command_shows_the_text_and_then_the_reply(service) -> None:
    with served(service) as url:
        told = CliRunner().invoke(
            app, ["--query", "blue bottle", "--item-id", "B001", "--url", url, "--stream"]
        )

    assert told.exit_code == 0, told.output
    assert told.stdout.startswith(render(THOUGHT) + "\n\nquery  blue bottle\n")
    assert "teacher  llm:qwen: 0.076 Bad" in told.stdout


def test_a_teacher_of_words_alone_is_shown_without_a_score(service) -> None:
    reply = make_client(service).post("/explain", json=ASKED).content
    told = msgspec.json.decode(reply, type=ExplainReply)
    wordy = msgspec.structs.replace(told, teacher=msgspec.structs.replace(told.teacher, score=None))

    assert "teacher  llm:qwen: Bad" in readable(wordy)
