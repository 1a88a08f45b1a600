"""What goes over the wire, defined once: the service decodes and documents it, the client types it.

msgspec reads and checks a body in one pass, as JSON or MessagePack, and writes the JSON schema.
Big replies are written as arrays by `ranking_wire.py` in these shapes; a test holds them to it.
"""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from relevance.domain import Item, Label
from relevance.text import normalise

MAX_ID_CHARS, MAX_TEXT_CHARS, MAX_ATTRIBUTES = 512, 20_000, 256
MAX_DEADLINE_MS = 60_000
Id = Annotated[str, Meta(max_length=MAX_ID_CHARS)]
Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
Attributes = Annotated[dict[Id, Text], Meta(max_length=MAX_ATTRIBUTES)]
TopN = Annotated[int, Meta(ge=1, le=1_000_000)] | None
DeadlineMs = Annotated[float, Meta(gt=0, le=MAX_DEADLINE_MS)] | None


class Status(StrEnum):
    """What became of one candidate.

    ok: scored from the cached embeddings; encoded: from a text, sent along or stored; missing: the
    store does not know the id; no_text: nothing to encode; deadline: time was up. Only the first
    two have a score.
    """

    OK = "ok"
    ENCODED = "encoded"
    MISSING = "missing"
    NO_TEXT = "no_text"
    DEADLINE = "deadline"


class OnMissing(StrEnum):
    """What to do about ids without cached embeddings.

    encode: encode those whose text is stored, report the others; skip: report them all; error: 404.
    """

    ENCODE = "encode"
    SKIP = "skip"
    ERROR = "error"


class Format(StrEnum):
    """rows: one object a candidate; columns: one array a field, several times smaller to read."""

    ROWS = "rows"
    COLUMNS = "columns"


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything a client sends: unknown fields are refused, so that a typo is not a default."""


class Reply(Struct, frozen=True, gc=False):
    """Everything the service sends: clients ignore fields they do not know.

    `gc=False`: replies hold no cycles, and a thousand rows a request would wake the collector.
    """


class InlineItem(Request, frozen=True):
    """An item sent along; scored as if it lay in the catalogue.

    `text` stands for all that the encoder reads, in place of the fields it is made from.
    """

    id: Id
    title: Text = ""
    brand: Text = ""
    color: Text = ""
    category_path: Text = ""
    description: Text = ""
    bullet_points: Text = ""
    attributes: Attributes = {}
    text: Text | None = None

    def __post_init__(self) -> None:
        fields = (self.title, self.brand, self.color, self.bullet_points)
        if self.text is not None and any(fields):
            names = "`title`, `brand`, `color` and `bullet_points`"
            raise ValueError(f"expected either `text` or {names}, got both")

    def to_item(self) -> Item:
        """The item, its texts normalised as a catalogue's are."""
        values = ((name, normalise(value)) for name, value in self.attributes.items())
        return Item(
            item_id=self.id,
            title=normalise(self.title if self.text is None else self.text),
            brand=normalise(self.brand),
            color=normalise(self.color),
            category_path=normalise(self.category_path),
            description=normalise(self.description),
            bullet_points=normalise(self.bullet_points),
            attributes=tuple((name, value) for name, value in values if value),
        )


class Candidates(Request, frozen=True):
    """A query with its candidates: `item_ids`, then `items`; `index` in replies counts them so.

    `top_n` shortens the reply to the best.
    """

    query: str
    item_ids: list[Id] = []
    items: list[InlineItem] = []
    top_n: TopN = None


class ScoreRequest(Candidates, frozen=True):
    """One query and its candidates.

    When `deadline_ms` have passed since the request came, what is not scored yet gets the status
    `deadline`, or with `strict_deadline` the whole request 504. `generation` refuses (409) to be
    answered from another one. `experiment_key` (else a header) puts the request into a variant.
    """

    on_missing: OnMissing = OnMissing.ENCODE
    deadline_ms: DeadlineMs = None
    strict_deadline: bool = False
    format: Format = Format.ROWS
    generation: Id | None = None
    experiment_key: Id | None = None


class BatchRequest(Request, frozen=True):
    """Several queries, answered from one snapshot of the catalogue; the options hold for all."""

    requests: Annotated[list[Candidates], Meta(min_length=1)]
    on_missing: OnMissing = OnMissing.ENCODE
    deadline_ms: DeadlineMs = None
    strict_deadline: bool = False
    format: Format = Format.ROWS
    generation: Id | None = None
    experiment_key: Id | None = None


class ScoreRow(Reply, frozen=True, gc=False):
    """One candidate; `index` is its place in the request."""

    id: str
    index: int
    score: float | None
    label: Label | None
    status: Status
    truncated: bool


class ScoreColumns(Reply, frozen=True, gc=False):
    """The same, field by field; every array has one element a candidate."""

    id: list[str]
    index: list[int]
    score: list[float | None]
    label: list[Label | None]
    status: list[Status]
    truncated: list[bool]


class ServedVariant(Reply, frozen=True, gc=False):
    """The experiment and variant a request belongs to, and the variant that answered it.

    They differ where the variant failed or was too slow: then `degraded` says why.
    """

    experiment: str
    variant: str
    answered_by: str


class Provenance(Reply, frozen=True, gc=False, kw_only=True):
    """What answered: bundle, generation and the number of changes on top of it.

    `degraded` holds the reasons why this answer is slower, older or poorer than it should be.
    `variant` is there for requests that belong to an experiment.
    """

    bundle: str
    generation: str
    sequence: int
    degraded: list[str]
    variant: ServedVariant | UnsetType = UNSET


class ScoreReply(Provenance, frozen=True, gc=False):
    """Candidates from the best to the worst; equal scores keep their order, no score comes last."""

    results: list[ScoreRow]
    query_truncated: bool


class ColumnsReply(Provenance, frozen=True, gc=False):
    """The reply to `format: columns`, in the same order."""

    columns: ScoreColumns
    query_truncated: bool


class Fault(Reply, frozen=True, gc=False):
    """`code` is for programs, `message` for people, `param` names the field at fault."""

    message: str
    type: str
    code: str
    param: str | None


class ErrorReply(Reply, frozen=True, gc=False):
    """Every reply that is not a success."""

    error: Fault


class BatchAnswer(Reply, frozen=True, gc=False):
    """One query's rows, or why it has none; the others are answered all the same."""

    results: list[ScoreRow]
    query_truncated: bool
    error: Fault | None


class BatchReply(Provenance, frozen=True, gc=False):
    """One answer a query, in the request's order."""

    replies: list[BatchAnswer]


class ColumnsAnswer(Reply, frozen=True, gc=False):
    """One query's columns, or why it has none."""

    columns: ScoreColumns
    query_truncated: bool
    error: Fault | None


class BatchColumnsReply(Provenance, frozen=True, gc=False):
    """The reply to `format: columns`."""

    replies: list[ColumnsAnswer]


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
        "in columns, within 20 ms": {
            "query": "red water bottle",
            "item_ids": ["B001", "B002", "B001"],
            "items": [{"id": "new", "text": "Steel water bottle red"}],
            "format": "columns",
            "deadline_ms": 20,
            "on_missing": "skip",
        },
    },
    "/score/batch": {
        "two queries": {
            "requests": [
                {"query": "red water bottle", "item_ids": ["B001", "B002"]},
                {"query": "oak desk", "item_ids": ["B003"], "top_n": 1},
            ]
        }
    },
    "/search": {
        "the ten best items": {"query": "red water bottle"},
        "fifty, looked for among three thousand": {
            "query": "red water bottle",
            "top_k": 50,
            "depth": 3000,
        },
    },
}
