"""A language model as a teacher, over real HTTP, in all the ways in which one behaves."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from relevance.chain_of_thought import render
from relevance.domain import (
    AspectFinding,
    ChainOfThought,
    Item,
    Label,
    Relevance,
    Side,
    Target,
    Verdict,
)
from relevance.errors import MalformedText, Unavailable
from service.deadline import Deadline
from service.explain_llm import LLMExplainer, LLMOptions
from service.explain_wire import Origin, TeacherState, Tried
from service.explanations import Explanations
from service.fakes import WordJudge
from service.listener import Gone, Listener
from service.teacher_door import Overloaded, WritingExplainer
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.judge import JudgeOptions
from teacher.online.llm.prompt import Language, PromptStyle
from tests.service.chat_server import PATIENCE_S, THOUGHT, ChatServer, Manner, chat_server

ITEM = Item("B001", "Red steel bottle", color="red")
QUERY = "blue bottle"
NEVER = Deadline()
COT = JudgeOptions(targets=frozenset({Target.COT}))
TIME_OF = dict.fromkeys(Manner, PATIENCE_S) | {Manner.HANGING: 0.3, Manner.DRIPPING: 0.3}
Explaining = Callable[..., LLMExplainer]


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


@pytest.fixture
def explaining(server) -> Iterator[Explaining]:
    """Makes explainers that ask the server, and closes them."""
    made = []

    def make(*, judge: JudgeOptions = COT, url: str = "", **options) -> LLMExplainer:
        endpoint = Endpoint(url or server.url, "qwen", "secret")
        made.append(LLMExplainer(LLMOptions(endpoints=(endpoint,), judge=judge, **options)))
        return made[-1]

    yield make
    for one in made:
        one.close()


def heard_of(explainer: LLMExplainer, query: str = QUERY, item: Item = ITEM):
    pieces: list[str] = []
    opinion = explainer.start(query, item, pieces.append).result(PATIENCE_S)
    return opinion, pieces


def test_it_is_a_writing_explainer(explaining) -> None:
    assert isinstance(explaining(), WritingExplainer)


def test_a_bound_answer_has_the_chain_of_thought_its_log_odds_and_places(
    server, explaining
) -> None:
    opinion, pieces = heard_of(explaining())

    assert opinion.chain_of_thought == THOUGHT
    assert opinion.log_odds == pytest.approx(-2.5)
    assert opinion.judge == "llm:qwen"
    assert "".join(pieces) == render(THOUGHT)
    assert len(pieces) > 5
    assert {(s.side, s.start, s.end, s.relevance) for s in opinion.spans} == {
        (Side.QUERY, 0, 4, Relevance.IRRELEVANT),
        (Side.QUERY, 5, 11, Relevance.RELEVANT),
        (Side.TITLE, 0, 3, Relevance.IRRELEVANT),
        (Side.TITLE, 10, 16, Relevance.RELEVANT),
    }
    assert set(server.keys) == {"Bearer secret"}
    assert [body["model"] for body in server.chats] == ["qwen", "qwen"]


def test_the_log_odds_decide_and_not_the_words(server, explaining) -> None:
    server.log_odds = 3.0

    opinion, pieces = heard_of(explaining())

    assert opinion.chain_of_thought == ChainOfThought(THOUGHT.findings, Label.GOOD)
    assert "".join(pieces).endswith("Final judgment: Good")


def test_the_labels_tokens_are_asked_for_once(server, explaining) -> None:
    explainer = explaining()
    heard_of(explainer)
    asked = len([body for body in server.bodies if "stream" not in body])

    heard_of(explainer)

    assert len([body for body in server.bodies if "stream" not in body]) == asked + 1


def test_a_free_answer_of_any_endpoint_tells_its_words_and_no_log_odds(server, explaining) -> None:
    opinion, pieces = heard_of(explaining(judge=replace(COT, structured=False)))

    assert (opinion.chain_of_thought, opinion.log_odds) == (THOUGHT, None)
    assert "".join(pieces) == render(THOUGHT)
    assert len(server.bodies) == 1
    assert "structured_outputs" not in server.bodies[0]


def test_chinese_values_come_through_with_their_places(server, explaining) -> None:
    server.thought = ChainOfThought(
        (
            AspectFinding("color", "红色", "蓝色", Verdict.MISMATCH),
            AspectFinding("product", "保温杯", "保温杯", Verdict.MATCH),
        ),
        Label.BAD,
        "color",
    )
    judge = replace(COT, style=PromptStyle(language=Language.CHINESE))
    item = Item("C1", "不锈钢蓝色保温杯 500ml")

    opinion, pieces = heard_of(explaining(judge=judge), "红色保温杯", item)

    assert opinion.chain_of_thought == server.thought
    assert "".join(pieces) == render(server.thought)
    texts = {Side.QUERY: "红色保温杯", Side.TITLE: item.title}
    marked = [(texts[s.side][s.start : s.end], s.relevance) for s in opinion.spans]
    assert sorted(marked) == [
        ("保温杯", "relevant"),
        ("保温杯", "relevant"),
        ("红色", "irrelevant"),
        ("蓝色", "irrelevant"),
    ]
    assert "判断" in server.chats[0]["messages"][0]["content"]


@pytest.mark.parametrize("structured", [True, False])
@pytest.mark.parametrize(
    ("manner", "fault"),
    [
        (Manner.CHATTING, MalformedText),
        (Manner.TRUNCATED, MalformedText),
        (Manner.BUSY, Overloaded),
        (Manner.FAILING, Unavailable),
        (Manner.DYING, Unavailable),
        (Manner.FOREIGN, (Unavailable, MalformedText)),
        (Manner.HANGING, TimeoutError),
    ],
)
def test_each_misbehaviour_is_told_in_the_doors_words(
    server, explaining, manner, fault, structured
) -> None:
    explainer = explaining(judge=replace(COT, structured=structured), timeout_s=TIME_OF[manner])
    server.manner = manner

    with pytest.raises(fault):
        heard_of(explainer)


def test_a_server_that_is_down_is_unavailable(explaining) -> None:
    with pytest.raises(Unavailable, match="Connect"):
        heard_of(explaining(url="http://127.0.0.1:9/v1"))


def test_a_model_whose_labels_are_no_single_tokens_is_refused_in_words(server, explaining) -> None:
    server.tokens_of = lambda text: [ord(character) for character in text]

    with pytest.raises(Unavailable, match="expected ` Good` to be one token"):
        heard_of(explaining())


def test_cancelling_hangs_up_on_the_model(server, explaining) -> None:
    server.manner = Manner.DRIPPING
    call = explaining().start(QUERY, ITEM, lambda _: None)
    assert server.begun.wait(PATIENCE_S)

    call.cancel()

    assert server.hung_up.wait(PATIENCE_S)
    with pytest.raises(CancelledError):
        call.result(PATIENCE_S)


def test_an_answer_that_takes_too_long_is_given_up_upstream_too(server, explaining) -> None:
    server.manner = Manner.DRIPPING

    with pytest.raises(TimeoutError):
        heard_of(explaining(timeout_s=1.5))

    assert server.hung_up.wait(PATIENCE_S)


def test_after_slow_answers_in_a_row_the_model_is_left_alone_and_tried_again(server) -> None:
    clock = Clock()
    endpoint = Endpoint(server.url, "qwen")
    options = LLMOptions(endpoints=(endpoint,), judge=COT, timeout_s=0.2, failures=2, rest_s=30.0)
    explainer = LLMExplainer(options, clock=clock)
    server.manner = Manner.DRIPPING
    for _ in range(2):
        with pytest.raises(TimeoutError):
            heard_of(explainer)
    asked = len(server.bodies)

    with pytest.raises(Unavailable, match="left alone"):
        heard_of(explainer)
    assert len(server.bodies) == asked
    server.manner = Manner.FINE
    clock.now += 31.0

    with suppress(TimeoutError):  # a busy machine may need longer than this model is given
        heard_of(explainer)
    assert len(server.bodies) > asked
    explainer.close()


def test_a_server_that_fails_again_and_again_is_not_asked_for_a_while(server, explaining) -> None:
    server.manner = Manner.FAILING
    explainer = explaining(failures=2)
    for _ in range(2):
        with pytest.raises(Unavailable, match="status 500"):
            heard_of(explainer)
    asked = len(server.bodies)

    with pytest.raises(Unavailable, match="resting after failures"):
        heard_of(explainer)

    assert len(server.bodies) == asked


def test_no_more_answers_are_under_way_than_there_are_places(server, explaining) -> None:
    server.manner = Manner.DRIPPING
    explainer = explaining(places=1)
    first = explainer.start(QUERY, ITEM, lambda _: None)
    assert server.begun.wait(PATIENCE_S)

    with pytest.raises(Overloaded):
        heard_of(explainer)
    server.let_go.set()

    assert first.result(PATIENCE_S).chain_of_thought == THOUGHT
    assert heard_of(explainer)[0].chain_of_thought == THOUGHT


def test_the_fingerprint_tells_model_and_prompt_apart(explaining) -> None:
    usual = explaining()
    chinese = explaining(judge=replace(COT, style=PromptStyle(language=Language.CHINESE)))
    other = LLMExplainer(LLMOptions(endpoints=(Endpoint("http://x/v1", "llama"),), judge=COT))

    assert len({usual.fingerprint, chinese.fingerprint, other.fingerprint}) == 3
    assert usual.fingerprint == explaining().fingerprint


def test_closing_ends_what_is_under_way(server, explaining) -> None:
    server.manner = Manner.DRIPPING
    explainer = explaining()
    call = explainer.start(QUERY, ITEM, lambda _: None)
    assert server.begun.wait(PATIENCE_S)

    explainer.close()

    with pytest.raises(CancelledError):
        call.result(PATIENCE_S)
    assert server.hung_up.wait(PATIENCE_S)


@contextmanager
def ladder(explainer: LLMExplainer) -> Iterator[Explanations]:
    explanations = Explanations([explainer, WordJudge()])
    yield explanations
    explanations.close()


@pytest.mark.parametrize(
    ("manner", "state"),
    [
        (Manner.CHATTING, "unparsable"),
        (Manner.TRUNCATED, "unparsable"),
        (Manner.BUSY, "budget"),
        (Manner.FAILING, "unavailable"),
        (Manner.DYING, "unavailable"),
        (Manner.DRIPPING, "timeout"),
    ],
)
def test_the_catalogue_teacher_steps_in_and_the_state_says_why(
    server, explaining, manner, state
) -> None:
    server.manner = manner
    with ladder(explaining(timeout_s=TIME_OF[manner])) as explanations:
        reasons = explanations.ask(QUERY, ITEM, NEVER)

    assert reasons.opinion is not None
    assert (reasons.state, reasons.origin) == (state, Origin.CATALOGUE)
    assert reasons.opinion.fingerprint == "word/1"
    assert reasons.tried == (
        Tried(Origin.LLM, TeacherState(state)),
        Tried(Origin.CATALOGUE, TeacherState.OK),
    )


def test_a_requests_own_deadline_ends_the_wait_and_does_not_count_against_the_model(
    server, explaining
) -> None:
    server.manner = Manner.DRIPPING
    free = replace(COT, structured=False)
    with ladder(explaining(failures=1, judge=free)) as explanations:
        hurried = explanations.ask(QUERY, ITEM, Deadline.after(500, since=NEVER.clock()))
        assert server.hung_up.wait(PATIENCE_S) or not server.begun.is_set()
        server.manner = Manner.FINE
        patient = explanations.ask(QUERY, ITEM, NEVER)

    assert (hurried.state, hurried.origin) == ("timeout", Origin.CATALOGUE)
    assert (patient.state, patient.origin) == ("ok", Origin.LLM)


def test_a_remembered_answer_asks_nobody(server, explaining) -> None:
    with ladder(explaining()) as explanations:
        first = explanations.ask(QUERY, ITEM, NEVER)
        asked = len(server.bodies)
        again = explanations.ask(QUERY, ITEM, NEVER)
        other = explanations.ask(QUERY, replace(ITEM, brand="Acme"), NEVER)

    assert again == first
    assert len(server.bodies) > asked
    assert other.opinion is not None


def test_a_listener_that_leaves_ends_the_ladder(server, explaining) -> None:
    server.manner = Manner.DRIPPING
    listener = Listener()
    ended: list[type[BaseException]] = []

    def ask(explanations: Explanations) -> None:
        try:
            explanations.ask(QUERY, ITEM, NEVER, listener=listener)
        except Gone as gone:
            ended.append(type(gone))

    with ladder(explaining()) as explanations:
        asking = threading.Thread(target=ask, args=(explanations,))
        asking.start()
        assert server.begun.wait(PATIENCE_S)
        listener.leave()
        asking.join(PATIENCE_S)

    assert ended == [Gone]
    assert server.hung_up.wait(PATIENCE_S)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now
