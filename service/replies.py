"""Replies on the wire: orjson bytes, and one envelope for everything that went wrong.

    {"error": {"message", "type", "code", "param"}}

`code` is stable and meant for programs, `message` for people, `param` names the field at fault.
"""

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
) -> Response:
    """The error envelope."""
    error = {"message": message, "type": kind_of(status), "code": code, "param": param}
    return Response(orjson.dumps({"error": error}), status, headers, JSON)


def kind_of(status: int) -> str:
    """The `type` of an error with this status."""
    return TYPE_OF_STATUS.get(status, "server_error" if status >= 500 else "invalid_request_error")


def refusal_reply(refused: Refused) -> Response:
    """A refusal as the client gets it."""
    headers = {**(refused.headers or {}), **(CLOSE if refused.status == 413 else {})}
    return error_reply(
        refused.status, refused.code, str(refused), param=refused.param, headers=headers or None
    )
