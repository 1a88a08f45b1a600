"""What `POST /explain` takes and answers; the rest of the wire is `service.wire`'s."""

from enum import StrEnum
from typing import Any

from relevance.domain import Label, Relevance, Side, Verdict
from service.wire import DeadlineMs, Id, InlineItem, Provenance, Reply, Request, Status


class TeacherState(StrEnum):
    """Whether the teacher's reasons are there.

    ok: they are; waiting: not yet, in the first event of a stream; timeout: it took too long;
    unavailable: there is none, it failed, or it is left alone after failures; unparsable: its
    answer is no chain of thought; budget: all its places are taken, or it turned us away.
    """

    OK = "ok"
    WAITING = "waiting"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    UNPARSABLE = "unparsable"
    BUDGET = "budget"


class Origin(StrEnum):
    """Who explains a pair.

    llm: a language model; catalogue: the statistical teacher; alignment: no teacher, so the
    student's own tokens have to do.
    """

    LLM = "llm"
    CATALOGUE = "catalogue"
    ALIGNMENT = "alignment"


class ExplainRequest(Request, frozen=True):
    """One query and one item, by `item_id` or sent along as `item`.

    `deadline_ms` bounds how long the teachers are waited for. `stream` asks for the answer as
    server-sent events, as does `accept: text/event-stream`. `experiment_key` (else a header)
    explains with the variant that scores for this key.
    """

    query: str
    item_id: Id | None = None
    item: InlineItem | None = None
    deadline_ms: DeadlineMs = None
    generation: Id | None = None
    experiment_key: Id | None = None
    stream: bool = False

    def __post_init__(self) -> None:
        if (self.item_id is None) == (self.item is None):
            raise ValueError("expected either `item_id` or `item`")


class TokenSpan(Reply, frozen=True, gc=False):
    """A token and its `[start, end)` in characters of its text."""

    token: str
    start: int
    end: int


class Contribution(Reply, frozen=True, gc=False):
    """A query token's share of the logit and the item token it met best."""

    token: str
    start: int
    end: int
    contribution: float
    cosine: float
    best: TokenSpan


class Finding(Reply, frozen=True, gc=False):
    """One aspect the query asks for, what the item offers, and the verdict."""

    aspect: str
    asked: str
    offered: str | None
    verdict: Verdict


class Span(Reply, frozen=True, gc=False):
    """`[start, end)` of the normalised query or title that speaks for or against the pair."""

    side: Side
    start: int
    end: int
    relevance: Relevance
    aspect: str


class Tried(Reply, frozen=True, gc=False):
    """A teacher that was asked, and what came of it."""

    origin: Origin
    state: TeacherState


class TeacherOpinion(Reply, frozen=True, gc=False):
    """Who gave the reasons, and its own score.

    `state` is the first teacher's; where it is not `ok`, a further one may have stepped in:
    `origin` says who (null while waiting), `tried` everyone asked. `judge`, `label` and
    `fingerprint` are null where no teacher answered, `score` also where only its words are known.
    """

    state: TeacherState
    origin: Origin | None = Origin.ALIGNMENT
    tried: list[Tried] = []
    judge: str | None = None
    score: float | None = None
    label: Label | None = None
    fingerprint: str | None = None


class ExplainReply(Provenance, frozen=True, gc=False):
    """Why a pair scores as it does.

    The contributions and `bias` add up to `logit`, whose sigmoid is `score`, the same number
    `/score` gives. Offsets count in `query` and `item_text`. Aspects, spans and chain of thought
    are the teacher's.
    """

    id: str
    query: str
    item_text: str
    score: float | None
    label: Label | None
    status: Status
    logit: float | None
    bias: float
    contributions: list[Contribution]
    aspects: list[Finding]
    spans: list[Span]
    chain_of_thought: str | None
    teacher: TeacherOpinion
    query_truncated: bool
    truncated: bool


class TextDelta(Reply, frozen=True, gc=False):
    """The next piece of what a teacher writes: the data of an event `delta`."""

    text: str
    origin: Origin


EXAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "/explain": {
        "a cached item": {"query": "red water bottle", "item_id": "B001"},
        "as it is written": {"query": "red water bottle", "item_id": "B001", "stream": True},
        "an item sent along": {
            "query": "red water bottle",
            "item": {"id": "new", "title": "Steel water bottle", "color": "red"},
        },
    },
}
