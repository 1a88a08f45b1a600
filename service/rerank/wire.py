"""What clients of Cohere, Jina, Text Embeddings Inference (TEI) and vLLM send, and read in replies.

Field names are theirs, so that their clients work unmodified. What those APIs let a client say and
this service has no use for (`model`, `priority`, …) is taken and has no effect; what it cannot do
as asked is an unknown field, and refused. Ours are `deadline_ms`, `generation`, `experiment_key`.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from service.wire import MAX_TEXT_CHARS, DeadlineMs, Fault, Id, Provenance, Reply, Request

Document = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)] | dict[str, Any]
Some = Document | list[Document]  # vLLM's clients send one text bare
MostTokens = Annotated[int, Meta(ge=1)] | None
Shown = Annotated[int, Meta(ge=0, le=1_000_000)] | None


def is_sent_as_text(document: Any, rank_fields: Collection[str] = ()) -> bool:
    """Whether a document brings what is to be encoded; else it can only be an item's id."""
    if isinstance(document, str) or "text" in document or "title" in document:
        return True
    return any(name in document for name in rank_fields)


class CutSide(StrEnum):
    """Which end of a text is left out where it is too long; TEI writes it with a capital."""

    RIGHT = "right"
    LEFT = "left"
    RIGHT_OF_TEI = "Right"
    LEFT_OF_TEI = "Left"

    @property
    def is_left(self) -> bool:
        """Whether the beginning goes."""
        return self in (CutSide.LEFT, CutSide.LEFT_OF_TEI)


class RerankRequest(Request, frozen=True):
    """A query and documents, as Cohere's, Jina's and vLLM's clients send them.

    A document is a text, an object with a text, or `{"id": …}`: an item of the catalogue, whose
    cached embeddings are used. An object's text is its `rank_fields`, else its `text`, else what
    the catalogue's fields beside a `title` make. `top_n` of 0 or null shows all.
    """

    query: str
    documents: list[Document]
    top_n: Shown = None
    rank_fields: list[Id] | None = None
    return_documents: bool | None = None
    max_tokens_per_doc: MostTokens = None
    truncate_prompt_tokens: Annotated[int, Meta(ge=-1)] | None = None
    truncation_side: CutSide | None = None
    truncation: bool | None = None
    max_chunks_per_doc: int | None = None
    model: str | None = None
    user: str | None = None
    priority: int | None = None
    request_id: Id | None = None
    use_activation: bool | None = None
    deadline_ms: DeadlineMs = None
    generation: Id | None = None
    experiment_key: Id | None = None


class TextsRequest(Request, frozen=True):
    """A query and texts, as TEI's clients send them.

    `raw_scores` asks for logits in place of probabilities. `truncate: false` refuses texts longer
    than the bundle reads; otherwise they are cut.
    """

    query: str
    texts: list[Document]
    raw_scores: bool | None = None
    return_text: bool | None = None
    truncate: bool | None = None
    truncation_direction: CutSide | None = None
    model: str | None = None
    deadline_ms: DeadlineMs = None
    generation: Id | None = None
    experiment_key: Id | None = None


class _PairsRequest(Request, frozen=True):
    """One text against each of the others, or as many against as many, pair by pair.

    `use_activation: false` asks for logits in place of probabilities.
    """

    model: str | None = None
    user: str | None = None
    priority: int | None = None
    request_id: Id | None = None
    use_activation: bool | None = None
    truncate_prompt_tokens: Annotated[int, Meta(ge=-1)] | None = None
    truncation_side: CutSide | None = None
    deadline_ms: DeadlineMs = None
    generation: Id | None = None
    experiment_key: Id | None = None

    @property
    def query(self) -> str:
        """The queries as one text, for the log."""
        queries = getattr(self, SIDES[type(self)][0])
        return queries if isinstance(queries, str) else "\n".join(queries)


class DocumentPairs(_PairsRequest, frozen=True, kw_only=True):
    """vLLM's `queries` with `documents`."""

    queries: str | list[str]
    documents: Some


class ItemPairs(_PairsRequest, frozen=True, kw_only=True):
    """vLLM's `queries` with `items`."""

    queries: str | list[str]
    items: Some


class TextPairs(_PairsRequest, frozen=True, kw_only=True):
    """vLLM's `text_1` (the queries) with `text_2`."""

    text_1: str | list[str]
    text_2: Some


class DataPairs(_PairsRequest, frozen=True, kw_only=True):
    """vLLM's `data_1` (the queries) with `data_2`."""

    data_1: str | list[str]
    data_2: Some


PairsRequest = DocumentPairs | ItemPairs | TextPairs | DataPairs
# Each way to name both sides of the pairs: queries, documents.
SIDES: dict[type[Request], tuple[str, str]] = {
    DocumentPairs: ("queries", "documents"),
    ItemPairs: ("queries", "items"),
    TextPairs: ("text_1", "text_2"),
    DataPairs: ("data_1", "data_2"),
}


class RankedDocument(Reply, frozen=True):
    """One document; `index` is its place in the request, `relevance_score` the score of `/score`.

    `document` is there where the request asks for it: a text as `{"text": …}`, an object as sent.
    """

    index: int
    relevance_score: float
    document: dict[str, Any] | UnsetType = UNSET


class Usage(Reply, frozen=True):
    """Tokens encoded for this request: the query's and the documents'; cached items cost none."""

    prompt_tokens: int
    total_tokens: int
    completion_tokens: int = 0


class ApiVersion(Reply, frozen=True):
    """Which of Cohere's APIs this is."""

    version: str


class BilledUnits(Reply, frozen=True):
    """Cohere's unit: a query with up to a hundred documents."""

    search_units: int


class RerankMeta(Reply, frozen=True):
    """What Cohere's clients look up beside the results.

    `warnings` name the documents that got no score and are therefore not among the results.
    """

    api_version: ApiVersion
    billed_units: BilledUnits
    warnings: list[str] | UnsetType = UNSET


class RerankReply(Provenance, frozen=True):
    """The best documents first; equal scores keep their order. Only documents with a score."""

    id: str
    model: str
    results: list[RankedDocument]
    usage: Usage
    meta: RerankMeta
    object: Literal["list"] = "list"


class RankedText(Reply, frozen=True):
    """One text as TEI's clients read it."""

    index: int
    score: float
    text: str | UnsetType = UNSET


class PairScore(Reply, frozen=True):
    """One pair, in the order of the request."""

    index: int
    score: float
    object: Literal["score"] = "score"


class PairsReply(Provenance, frozen=True):
    """What vLLM answers to `/score`; every pair has a score, or the whole request is refused."""

    id: str
    created: int
    model: str
    data: list[PairScore]
    usage: Usage
    object: Literal["list"] = "list"


class RerankFault(Reply, frozen=True):
    """An error of `/v1/rerank` and `/v2/rerank`.

    Cohere's clients read `message`, Jina's `detail`, vLLM's `error`.
    """

    message: str
    detail: str
    error: Fault


class TextsFault(Reply, frozen=True):
    """An error of `/rerank`: TEI's clients read `error` and `error_type`, vLLM's `detail`."""

    error: str
    error_type: str
    message: str
    detail: str
    code: str
    param: str | None


_DOCUMENTS = ["Steel water bottle, red", {"id": "B003"}, {"title": "Cotton shoe", "color": "red"}]
_TEXTS = ["Steel water bottle, red", "Oak desk"]
_RERANK: dict[str, dict[str, Any]] = {
    "texts, the catalogue's items and fields": {
        "model": "any",
        "query": "red water bottle",
        "documents": _DOCUMENTS,
        "top_n": 2,
        "return_documents": True,
    },
}
EXAMPLES: dict[str, dict[str, dict[str, Any]]] = {
    "/v1/rerank": _RERANK,
    "/v2/rerank": _RERANK,
    "/rerank": {
        "as TEI's clients ask": {
            "query": "red water bottle",
            "texts": _TEXTS,
            "return_text": True,
        },
        "as vLLM's clients ask": {"query": "red water bottle", "documents": _TEXTS},
    },
    "/v1/score": {
        "one query against each": {"queries": "red water bottle", "documents": _TEXTS},
        "pair by pair": {"text_1": ["red water bottle", "oak desk"], "text_2": _TEXTS},
    },
}
