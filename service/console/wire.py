"""What the console's pages send and get under `/console/api`: theirs alone, and not a promise.

The pages and these shapes come from one installation. Scores, contributions and reasons are the
numbers of `/score` and `/explain`; what is added here is what a picture needs beside them.
"""

from typing import Annotated

from msgspec import Meta

from relevance.domain import Label
from service.explain_wire import Contribution, Finding, Span, TeacherState, TokenSpan
from service.wire import Id, InlineItem, Provenance, Reply, Request, Status, Text

MAX_SHOWN = 200  # rows of the query view; more nobody reads
MAX_LISTED = 1000  # candidates a person may name
MAX_JUDGED = 25  # pairs of one request for reasons: a page asks for the next ones meanwhile
Shown = Annotated[int, Meta(ge=1, le=MAX_SHOWN)]


class ComparedBundle(Reply, frozen=True):
    """The second bundle, whose scores stand beside the first one's."""

    bundle: str
    generation: str
    threshold: float


class ConsoleInfo(Reply, frozen=True):
    """What a page has to know before it asks for anything.

    `asks_freely` says that teachers answer at no cost, so that rows may be judged without being
    told to; `aspects` are their Chinese names. `compared_fault` says why a second store that was
    named cannot be shown. `labels` counts the labelled pairs; null where labels are not kept.
    """

    version: str
    bundle: str
    student: str
    generation: str
    sequence: int
    items: int
    threshold: float
    max_query_chars: int
    max_listed: int
    teachers: int
    asks_freely: bool
    aspects: dict[str, str]
    compared: ComparedBundle | None
    compared_fault: str | None
    labels: int | None
    labels_file: str | None


class BrowseRequest(Request, frozen=True):
    """Items whose id begins with `text`, or whose title holds it, whatever the case."""

    text: Annotated[str, Meta(max_length=512)] = ""
    limit: Annotated[int, Meta(ge=1, le=50)] = 12


class ItemCard(Reply, frozen=True):
    """What a list shows of an item."""

    id: str
    title: str
    brand: str
    color: str


class BrowseReply(Reply, frozen=True):
    """The first items found; `complete` is false where the catalogue was too long to read."""

    items: list[ItemCard]
    complete: bool


class PairRequest(Request, frozen=True):
    """One query and one item, by id or pasted."""

    query: str
    item_id: Id | None = None
    item: InlineItem | None = None
    generation: Id | None = None

    def __post_init__(self) -> None:
        if (self.item_id is None) == (self.item is None):
            raise ValueError("expected either `item_id` or `item`")


class PairReply(Provenance, frozen=True):
    """The student's part of a pair, with every token's similarity to every other.

    `cosines[i][j]` is query token i's cosine with item token j, `best[i]` the j it met best. A
    token's contribution lifts the pair over the threshold where it is above `needed`: the sum of
    contributions reaches it (times the tokens) exactly where the pair is Good. Times are
    milliseconds by stage.
    """

    id: str
    query: str
    item: ItemCard
    item_text: str
    score: float | None
    label: Label | None
    status: Status
    logit: float | None
    bias: float
    threshold: float
    needed: float | None
    contributions: list[Contribution]
    item_tokens: list[TokenSpan]
    cosines: list[list[float]]
    best: list[int]
    query_truncated: bool
    truncated: bool
    stage_ms: dict[str, float]


class RankRequest(Request, frozen=True):
    """A query with its candidates, or without any: then the catalogue's `top_k` best.

    A line is an id of the catalogue, or else a title.
    """

    query: str
    lines: Annotated[list[Text], Meta(max_length=MAX_LISTED)] = []
    top_k: Shown = 20


class Place(Reply, frozen=True):
    """One bundle's score of one candidate, and its rank from 1.

    Of a searched catalogue, `rank` is null for what lies past the `top_k` best.
    """

    score: float | None
    label: Label | None
    status: Status
    rank: int | None


class RankedItem(Reply, frozen=True):
    """One candidate under both bundles; `second` is null where there is only one."""

    item: ItemCard
    known: bool
    first: Place
    second: Place | None


class RankReply(Provenance, frozen=True):
    """Candidates by the first bundle's score, the best first."""

    query: str
    rows: list[RankedItem]
    threshold: float
    compared: ComparedBundle | None
    query_truncated: bool
    stage_ms: dict[str, float]


class ReasonsRequest(Request, frozen=True):
    """Some items of the catalogue, whose teacher's reasons are asked for."""

    query: str
    item_ids: Annotated[list[Id], Meta(min_length=1, max_length=MAX_JUDGED)]


class Reasons(Reply, frozen=True):
    """The teacher on one pair; without a judge where nobody could say."""

    id: str
    state: TeacherState
    judge: str | None = None
    score: float | None = None
    label: Label | None = None
    aspects: list[Finding] = []
    spans: list[Span] = []


class ReasonsReply(Reply, frozen=True):
    """One answer an item, in the order they were asked for."""

    reasons: list[Reasons]


class LabelRequest(Request, frozen=True):
    """A person's label of a pair of the catalogue; null takes an earlier one back."""

    query: str
    item_id: Id
    label: Label | None


class LabelReply(Reply, frozen=True):
    """What was kept, and only now what the student would have said."""

    query: str
    item_id: str
    label: Label | None
    labels: int
    student: Place | None


class LabelledRequest(Request, frozen=True):
    """Which of a query's items have a label already."""

    query: str


class LabelledReply(Reply, frozen=True):
    """Label by item id."""

    labelled: dict[str, Label]
