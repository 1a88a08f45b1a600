"""What goes over the wire, for OpenAPI, the typed client and checking requests.

Replies are sent as plain dicts of these shapes: a pydantic object per item would cost more than
scoring it.
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from relevance.domain import Item, Label, Relevance, Side, Verdict
from relevance.text import normalise

Status = Literal["ok", "encoded", "missing", "no_text"]


class Wire(BaseModel):
    """Everything on the wire: frozen, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class InlineItem(Wire):
    """An item sent along; scored as if it lay in the catalogue."""

    id: str
    title: str = ""
    brand: str = ""
    color: str = ""
    category_path: str = ""
    description: str = ""
    bullet_points: str = ""
    attributes: dict[str, str] = {}

    def to_item(self) -> Item:
        """The item, its texts normalised as a catalogue's are."""
        texts = self.model_dump(exclude={"id", "attributes"})
        values = ((name, normalise(value)) for name, value in self.attributes.items())
        return Item(
            item_id=self.id,
            **{name: normalise(text) for name, text in texts.items()},
            attributes=tuple((name, value) for name, value in values if value),
        )


class ScoreRequest(Wire):
    """Candidates are `item_ids`, then `items`; `index` in the reply counts them in that order."""

    query: str
    item_ids: list[str] = []
    items: list[InlineItem] = []
    top_n: int | None = Field(None, ge=1)


class ScoreRow(Wire):
    """One candidate.

    status: ok = from the cache; encoded = sent along; missing = unknown id; no_text = nothing to
    encode. The last two have neither score nor label.
    """

    id: str
    index: int
    score: float | None
    label: Label | None
    status: Status
    truncated: bool


class ScoreReply(Wire):
    """Candidates from the best to the worst; equal scores keep their order, no score comes last."""

    results: list[ScoreRow]
    query_truncated: bool
    bundle: str
    generation: str
    sequence: int
    degraded: list[str]


class ExplainRequest(Wire):
    """One query and one item, by `item_id` or sent along as `item`."""

    query: str
    item_id: str | None = None
    item: InlineItem | None = None

    @model_validator(mode="after")
    def _one_item(self) -> Self:
        if (self.item_id is None) == (self.item is None):
            raise ValueError("expected either `item_id` or `item`")
        return self


class TokenSpan(Wire):
    """A token and its `[start, end)` in characters of its text."""

    token: str
    start: int
    end: int


class Contribution(Wire):
    """A query token's share of the logit and the item token it met best."""

    token: str
    start: int
    end: int
    contribution: float
    cosine: float
    best: TokenSpan


class Finding(Wire):
    """One aspect the query asks for, what the item offers, and the verdict."""

    aspect: str
    asked: str
    offered: str | None
    verdict: Verdict


class Span(Wire):
    """`[start, end)` of the normalised query or title that speaks for or against the pair."""

    side: Side
    start: int
    end: int
    relevance: Relevance
    aspect: str


class TeacherOpinion(Wire):
    """What the teacher says; all null but `state` where it cannot be asked."""

    state: Literal["ok", "unavailable"]
    judge: str | None = None
    score: float | None = None
    label: Label | None = None
    fingerprint: str | None = None


class ExplainReply(Wire):
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
    bundle: str
    generation: str
    sequence: int
    degraded: list[str]


class HealthReply(Wire):
    """What is being served."""

    status: Literal["ok"]
    bundle: str
    generation: str
    sequence: int
    items: int
    degraded: list[str]


class Fault(Wire):
    """`code` is for programs, `message` for people, `param` names the field at fault."""

    message: str
    type: str
    code: str
    param: str | None


class ErrorReply(Wire):
    """Every reply that is not a success."""

    error: Fault


EXAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "/score": {
        "cached items by id": {
            "query": "red water bottle",
            "item_ids": ["B001", "B002", "B003"],
            "top_n": 2,
        },
        "an item sent along": {
            "query": "red water bottle",
            "items": [{"id": "new", "title": "Steel water bottle", "color": "red"}],
        },
    },
    "/explain": {
        "a cached item": {"query": "red water bottle", "item_id": "B001"},
        "an item sent along": {
            "query": "red water bottle",
            "item": {"id": "new", "title": "Steel water bottle", "color": "red"},
        },
    },
}
