"""What the routes that tell about the service share: finding it, and replies shown in OpenAPI."""

from typing import Any

import msgspec
from fastapi import Request, Response

from service.open_service import OpenService
from service.openapi import MEANINGS, refusals
from service.replies import JSON
from service.routes.request import service_of

REFERENCE = "#/components/schemas/{name}"


def opened(request: Request) -> OpenService:
    """The open service; refuses with 503 before that."""
    service = service_of(request)
    assert isinstance(service, OpenService)
    return service


def reply(content: msgspec.Struct, *, status: int = 200) -> Response:
    """A reply as JSON."""
    return Response(msgspec.json.encode(content), status, media_type=JSON)


def described(
    schema: type[msgspec.Struct],
    *,
    not_ready: type[msgspec.Struct] | None = None,
    faults: tuple[int, ...] = (503,),
) -> dict[str, Any]:
    """Keyword arguments for a route's decorator; `not_ready` is what a 503 then looks like."""
    responses: dict[int | str, dict[str, Any]] = refusals(*faults)
    responses[200] = {"content": _content(schema)}
    if not_ready is not None:
        error = {"$ref": REFERENCE.format(name="ErrorReply")}
        either = {"anyOf": [{"$ref": REFERENCE.format(name=not_ready.__name__)}, error]}
        responses[503] = {"description": MEANINGS[503], "content": {JSON: {"schema": either}}}
    return {"response_model": None, "responses": responses}


def _content(schema: type[msgspec.Struct]) -> dict[str, Any]:
    return {JSON: {"schema": {"$ref": REFERENCE.format(name=schema.__name__)}}}
