"""A language model as a teacher for `/explain`: the offline jobs' prompt, parser and client.

Its text is handed on while it is written. Bound to its form (vLLM) its log-odds are read by token
id, as offline; a free answer, which any OpenAI-compatible endpoint can give, tells its words alone.
What a fault means to a request is told by exceptions (`teacher_door.py`); nothing is repeated,
since somebody waits.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import aclosing, contextmanager
from dataclasses import dataclass

import httpx

from relevance.chain_of_thought import JUDGEMENT_HEADING, render
from relevance.domain import ChainOfThought, Item, conclude
from relevance.errors import BadInput, MalformedText, Unavailable
from service.loop_thread import LoopThread
from service.teacher_door import Opinion, Overloaded, Say
from teacher.online.llm.breaker import CircuitBreaker, Clock
from teacher.online.llm.client import LanguageModel, Patience
from teacher.online.llm.endpoints import Endpoint
from teacher.online.llm.faults import EndpointFault, FaultKind
from teacher.online.llm.judge import JudgeOptions
from teacher.online.llm.log_odds import LabelTokens, label_tokens, read_log_odds
from teacher.online.llm.prompt import Messages, Mode, prompt
from teacher.online.llm.reply import read_findings, read_reply, spans_of
from teacher.online.llm.retries import ONCE
from teacher.online.llm.streaming import stream_free, stream_reasons
from teacher.online.llm.wire import Sampling

log = logging.getLogger(__name__)
SILENCE = 0.9  # of the time-out: an endpoint that says nothing for so long is at fault itself


@dataclass(frozen=True, slots=True, kw_only=True)
class LLMOptions:
    """Where the model is and how long it is waited for.

    `timeout_s` bounds a whole answer, `places` the answers under way at once. After `failures` in a
    row (answers too slow; each endpoint counts its other faults itself) it is left alone for
    `rest_s`, then twice that, and so on.
    """

    endpoints: tuple[Endpoint, ...]
    judge: JudgeOptions
    timeout_s: float = 10.0
    places: int = 4
    failures: int = 3
    rest_s: float = 5.0


class LLMExplainer:
    """A `WritingExplainer`; share it between threads."""

    def __init__(
        self,
        options: LLMOptions,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._options = options
        self._transport, self._clock = transport, clock
        self._loop = LoopThread("language-model")
        self._asking: _Asking | None = None

    @property
    def threshold(self) -> float:
        """The probability from which the model's judgement is Good."""
        return self._options.judge.threshold

    @property
    def fingerprint(self) -> str:
        """Of the model's name, the prompt and all else that decides an answer."""
        return self._options.judge.fingerprint(self._options.endpoints[0].model)

    @property
    def patience_s(self) -> float:
        """The longest one answer may take."""
        return self._options.timeout_s

    def start(self, query: str, item: Item, say: Say) -> "Future[Opinion]":
        """Begin to ask; cancelling the future closes the connection upstream."""
        return self._loop.run(self._judged(query, item, say))

    def close(self) -> None:
        """Cancel what is under way and close every connection."""
        self._loop.close(None if self._asking is None else self._asking.model.close)

    async def _judged(self, query: str, item: Item, say: Say) -> Opinion:
        if self._asking is None:  # on the loop's own thread, so there is never a second one
            self._asking = _Asking(self._options, self._transport, self._clock)
        return await self._asking.judged(query, item, say)


class _Asking:
    """The model's client and its state; lives on the loop's thread alone."""

    def __init__(
        self, options: LLMOptions, transport: httpx.AsyncBaseTransport | None, clock: Clock
    ) -> None:
        self._options = options
        self._breaker = CircuitBreaker(
            failures=options.failures, rest_s=options.rest_s, clock=clock
        )
        self._busy = 0
        self._labels: LabelTokens | None = None
        self._said: str | None = None
        self.model = LanguageModel(
            options.endpoints,
            patience=Patience(
                timeout_s=options.timeout_s * SILENCE,
                connect_s=options.timeout_s / 2,
                retries=ONCE,
                failures=options.failures,
                rest_s=options.rest_s,
            ),
            transport=transport,
            clock=clock,
        )

    async def judged(self, query: str, item: Item, say: Say) -> Opinion:
        """One answer, within its time; raises what `teacher_door.Explainer` lists."""
        if self._busy >= self._options.places:
            raise Overloaded
        if self._breaker.ready_in_s() > 0:
            raise Unavailable("the language model is left alone after slow answers")
        self._busy += 1
        try:
            with self._noted(), _as_told():
                async with asyncio.timeout(self._options.timeout_s):
                    return await self._asked(query, item, say)
        finally:
            self._busy -= 1

    @contextmanager
    def _noted(self) -> Iterator[None]:
        """Tells the breaker and the log how an answer went."""
        self._breaker.enter()
        try:
            yield
        except TimeoutError:
            self._breaker.failed()
            self._log("too slow")
            raise
        except (Overloaded, Unavailable) as fault:
            self._breaker.left()
            self._log(str(fault) or "too busy")
            raise
        except MalformedText:
            self._breaker.succeeded()
            raise
        except BaseException:  # cancelled: nobody waits any more, which says nothing of the model
            self._breaker.left()
            raise
        else:
            self._breaker.succeeded()
            self._log(None)

    def _log(self, fault: str | None) -> None:
        """One line when it begins to fail and one when it is well again, not one a request."""
        if fault is not None and self._said is None:
            log.warning("the language model does not answer: %s", fault)
        elif fault is None and self._said is not None:
            log.info("the language model answers again")
        self._said = fault

    async def _asked(self, query: str, item: Item, say: Say) -> Opinion:
        judge = self._options.judge
        messages = prompt(query, item, mode=Mode.COT, style=judge.style)
        if judge.structured:
            thought, log_odds = await self._bound(messages, say)
        else:
            thought, log_odds = await self._free(messages, say), None
        model = self.model.name
        return Opinion(
            judge=f"llm:{model}",
            fingerprint=judge.fingerprint(model),
            chain_of_thought=thought,
            spans=spans_of(thought, query, item.title),
            log_odds=log_odds,
        )

    async def _bound(self, messages: Messages, say: Say) -> tuple[ChainOfThought, float]:
        """The chain of thought and its `cot` log-odds, as `teacher.online.llm.judge` has them."""
        if self._labels is None:
            self._labels = await label_tokens(self.model, style=self._options.judge.style)
        text = await _heard(stream_reasons(self.model, messages, self._sampling), say)
        findings = read_findings(text)
        read = await read_log_odds(self.model, messages, self._labels, begun=text)
        share = 1 / (1 + math.exp(-read.log_odds))
        thought = conclude(findings, score=share, threshold=self._options.judge.threshold)
        say(render(thought).rpartition(JUDGEMENT_HEADING)[2])
        return thought, read.log_odds

    async def _free(self, messages: Messages, say: Say) -> ChainOfThought:
        return read_reply(await _heard(stream_free(self.model, messages, self._sampling), say))

    @property
    def _sampling(self) -> Sampling:
        return Sampling(max_tokens=self._options.judge.max_tokens)


async def _heard(pieces: AsyncGenerator[str, None], say: Say) -> str:
    text = ""
    async with aclosing(pieces):
        async for piece in pieces:
            text += piece
            say(piece)
    return text


def _unreadable(message: str) -> MalformedText:
    return MalformedText(message, position=0)


_FAULT_OF_KIND: Mapping[FaultKind, Callable[[str], Exception]] = {
    FaultKind.TIMEOUT: TimeoutError,
    FaultKind.BUSY: Overloaded,
    FaultKind.GARBAGE: _unreadable,
}


@contextmanager
def _as_told() -> Iterator[None]:
    """Says an endpoint's faults in the words of the teachers' door."""
    try:
        yield
    except EndpointFault as fault:
        told = _FAULT_OF_KIND.get(fault.kind)
        if told is None:
            raise
        raise told(str(fault)) from fault
    except MalformedText:
        raise
    except BadInput as fault:  # labels that are no single tokens, say
        raise Unavailable(str(fault)) from fault
