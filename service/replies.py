"""Replies on the wire: orjson bytes, and one envelope for everything that went wrong.

    {"error": {"message", "type", "code", "param"}}

`code` is stable and meant for programs, `message` for people, `param` names the field at fault.
Paths that other servers' clients call have errors in the shape those clients read
(`rerank/wire.py`).
"""

from collections.abc import Callable
from typing import Any

import orjson
from fastapi.responses import Response

from relevance.errors import BadInput

JSON = "application/json"
CLOSE = {"connection": "close"}  # with 413: the rest of the body is not read
TYPE_OF_STATUS = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "overloaded_error",
    503: "unavailable_error",
    504: "timeout_error",
}
TEI_TYPE_OF_STATUS = {429: "Overloaded", 500: "Backend", 503: "Unhealthy", 504: "Backend"}


class Refused(BadInput):
    """A request that cannot be answered, with what the client is told about it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.headers = headers


def error_reply(
    status: int,
    code: str,
    message: str,
    *,
    param: str | None = None,
    headers: dict[str, str] | None = None,
    path: str = "",
) -> Response:
    """The error envelope, as the clients of `path` read it."""
    error = {"message": message, "type": kind_of(status), "code": code, "param": param}
    content = ENVELOPES.get(path, _plain)(status, error)
    return Response(orjson.dumps(content), status, headers, JSON)


def kind_of(status: int) -> str:
    """The `type` of an error with this status."""
    return TYPE_OF_STATUS.get(status, "server_error" if status >= 500 else "invalid_request_error")


def refusal_reply(refused: Refused, *, path: str = "") -> Response:
    """A refusal as the client gets it."""
    headers = {**(refused.headers or {}), **(CLOSE if refused.status == 413 else {})}
    return error_reply(
        refused.status,
        refused.code,
        str(refused),
        param=refused.param,
        headers=headers or None,
        path=path,
    )


def _plain(status: int, error: dict[str, Any]) -> dict[str, Any]:
    return {"error": error}


def _of_cohere_and_jina(status: int, error: dict[str, Any]) -> dict[str, Any]:
    return {"message": error["message"], "detail": error["message"], "error": error}


def _of_tei(status: int, error: dict[str, Any]) -> dict[str, Any]:
    message = error["message"]
    return {
        "error": message,
        "error_type": TEI_TYPE_OF_STATUS.get(status, "Validation"),
        "message": message,
        "detail": message,
        "code": error["code"],
        "param": error["param"],
    }


ENVELOPES: dict[str, Callable[[int, dict[str, Any]], dict[str, Any]]] = {
    "/v1/rerank": _of_cohere_and_jina,
    "/v2/rerank": _of_cohere_and_jina,
    "/rerank": _of_tei,
}
