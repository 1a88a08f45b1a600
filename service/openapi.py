"""How OpenAPI shows routes that read and write their bodies themselves, with the schemas of `wire`.

FastAPI documents what pydantic checks; these bodies never meet pydantic.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from service import explain_wire, search_wire, wire
from service.bodies import Encoding
from service.rerank import wire as rerank_wire

REFERENCE = "#/components/schemas/{name}"
Schema = Any  # a Struct, or a list of one
SHOWN: tuple[Schema, ...] = (
    wire.ScoreRequest,
    wire.ScoreReply,
    wire.ColumnsReply,
    wire.BatchRequest,
    wire.BatchReply,
    wire.BatchColumnsReply,
    explain_wire.ExplainRequest,
    explain_wire.ExplainReply,
    search_wire.SearchRequest,
    search_wire.SearchReply,
    *rerank_wire.SIDES,
    rerank_wire.RerankRequest,
    rerank_wire.RerankReply,
    rerank_wire.TextsRequest,
    rerank_wire.RankedText,
    rerank_wire.PairsReply,
    rerank_wire.RerankFault,
    rerank_wire.TextsFault,
    wire.ErrorReply,
)
EXAMPLES = wire.EXAMPLES | explain_wire.EXAMPLES | rerank_wire.EXAMPLES
MEANINGS = {
    400: "The body is not JSON or MessagePack.",
    401: "An API key is needed.",
    403: "The API key does not allow this.",
    404: "No such item.",
    408: "The body did not arrive in time.",
    409: "Another generation is loaded than the request asks for.",
    413: "The body is too long.",
    422: "A field is missing, unknown or out of bounds.",
    429: "Too many requests; `retry-after` says when to come again.",
    503: "Not ready, or a part of the service is gone.",
    504: "The deadline passed, and the request asked for all or nothing.",
}


def described(
    path: str,
    request: Schema | Sequence[Schema],
    *replies: Schema,
    faults: tuple[int, ...],
    error: Schema = wire.ErrorReply,
) -> dict[str, Any]:
    """Keyword arguments for a route's decorator; of several requests exactly one fits a body."""
    examples = {name: {"value": value} for name, value in EXAMPLES[path].items()}
    requests = request if isinstance(request, Sequence) else [request]
    content = content_of(*requests, either="oneOf")
    content[Encoding.JSON] |= {"examples": examples}
    return {
        "response_model": None,
        "responses": {200: {"content": content_of(*replies)}, **refusals(*faults, error=error)},
        "openapi_extra": {"requestBody": {"required": True, "content": content}},
    }


def content_of(*schemas: Schema, either: str = "anyOf") -> dict[str, dict[str, Any]]:
    """One of these schemas, in either encoding."""
    references = [_reference(schema) for schema in schemas]
    shape = references[0] if len(references) == 1 else {either: references}
    return {encoding.value: {"schema": shape} for encoding in Encoding}


def refusals(*statuses: int, error: Schema = wire.ErrorReply) -> dict[int | str, dict[str, Any]]:
    """The error envelope under each of these statuses; errors are always JSON."""
    content = {Encoding.JSON.value: content_of(error)[Encoding.JSON]}
    return {status: {"description": MEANINGS[status], "content": content} for status in statuses}


def _reference(schema: Schema) -> dict[str, Any]:
    if getattr(schema, "__origin__", None) is list:
        return {"type": "array", "items": _reference(schema.__args__[0])}
    return {"$ref": REFERENCE.format(name=schema.__name__)}


def add_wire(document: dict[str, Any]) -> None:
    """Add the schemas that `described` refers to to an OpenAPI document."""
    _, schemas = msgspec.json.schema_components(SHOWN, ref_template=REFERENCE)
    document.setdefault("components", {}).setdefault("schemas", {}).update(schemas)
