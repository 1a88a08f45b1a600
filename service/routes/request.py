"""What every route does with a request: find what is being served, read the body, use a thread."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request, Response
from pydantic import BaseModel, ValidationError

from service.replies import Refused, json_reply, refusal_of
from service.schemas import EXAMPLES, ErrorReply
from service.serving import Serving

Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Open:
    """What is served, and how many requests of each kind compute at once.

    Computing happens in threads, because ONNX Runtime and the tokenizer release the interpreter's
    lock: the event loop goes on accepting, and `/health` answers, while cores are busy. Explaining
    has threads of its own, so a slow teacher cannot hold up scoring.
    """

    serving: Serving
    scoring: CapacityLimiter
    explaining: CapacityLimiter


def open_of(request: Request) -> Open:
    """What is being served; refuses with 503 before it is open."""
    opened = getattr(request.app.state, "open", None)
    if not isinstance(opened, Open):
        raise Refused(503, "not_ready", "the service is not ready yet")
    return opened


async def read_body(request: Request, schema: type[Body]) -> Body:
    """The checked body of a request, whatever its content type says."""
    try:
        return schema.model_validate_json(await request.body())
    except ValidationError as fault:
        raise refusal_of(fault) from fault


async def reply_from_thread(
    compute: Callable[[Serving, Body], dict[str, object]],
    serving: Serving,
    body: Body,
    limiter: CapacityLimiter,
) -> Response:
    """Compute a reply in a thread and put it on the wire."""
    return await to_thread.run_sync(lambda: json_reply(compute(serving, body)), limiter=limiter)


def described(path: str, schema: type[BaseModel], reply: type[BaseModel]) -> dict[str, Any]:
    """How OpenAPI shows a route that reads its body itself."""
    examples = {name: {"value": value} for name, value in EXAMPLES[path].items()}
    content = {"schema": {"$ref": f"#/components/schemas/{schema.__name__}"}, "examples": examples}
    return {
        "response_model": None,
        "responses": {200: {"model": reply}, **faults(400, 413, 422, 503)},
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": content}}
        },
    }


def faults(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error envelope under each of these statuses."""
    return {status: {"model": ErrorReply} for status in statuses}
