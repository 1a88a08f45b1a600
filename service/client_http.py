"""What both clients do with HTTP: calls become requests, responses become replies or failures.

No sockets here: sending is the clients' own.
"""

from typing import Any, TypeVar

import httpx
import msgspec

from relevance.errors import Unavailable
from service.client_plans import Call, Rejected
from service.client_retry import Attempts, Failure, Patience
from service.wire import ErrorReply

MSGPACK, JSON = "application/msgpack", "application/json"
RETRIED = frozenset({408, 429, 503})
PATIENT = Patience()
Reply = TypeVar("Reply")


class Asker:
    """What both clients share: requests from calls, replies or failures from responses."""

    def __init__(self, url: str, *, api_key: str | None) -> None:
        self.url = url
        self._headers = {"content-type": MSGPACK, "accept": f"{MSGPACK}, {JSON}"}
        if api_key is not None:
            self._headers["authorization"] = f"Bearer {api_key}"

    def request(self, client: Any, call: Call, attempts: Attempts) -> httpx.Request:
        """One attempt's request; `deadline_ms` is what is left, the time-out a little more."""
        left = attempts.seconds_left()
        body = call.body
        if body is not None and left is not None and hasattr(body, "deadline_ms"):
            body = msgspec.structs.replace(body, deadline_ms=min(max(left * 1000, 1), 60_000))
        request: httpx.Request = client.build_request(
            call.method,
            call.path,
            content=None if body is None else msgspec.msgpack.encode(body),
            headers=self._headers,
            timeout=attempts.timeout(),
        )
        return request

    def reply(self, call: Call, response: httpx.Response) -> Any:
        """The decoded reply; raises `Failure` where another attempt may help, else `Rejected`."""
        if response.is_success:
            return _decoded(response, call.reply)
        error = _decoded(response, ErrorReply).error
        message = f"{call.path} answered {response.status_code} {error.code}: {error.message}"
        if response.status_code in RETRIED:
            raise Failure(message, retry_after=_retry_after(response))
        if response.status_code >= 500:
            raise Unavailable(message)
        raise Rejected(message, status=response.status_code, code=error.code, param=error.param)

    def no_answer(self, call: Call, fault: Exception) -> Failure:
        """A failure on the way."""
        reason = str(fault) or type(fault).__name__
        return Failure(f"{self.url}{call.path}: no answer: {reason}")


def _decoded(response: httpx.Response, schema: type[Reply]) -> Reply:
    is_packed = response.headers.get("content-type", "").startswith(MSGPACK)
    decode = msgspec.msgpack.decode if is_packed else msgspec.json.decode
    try:
        return decode(response.content, type=schema)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        found = response.content[:80]
        raise Unavailable(
            f"{response.url}: expected a {schema.__name__}, got {response.status_code} {found!r}"
        ) from fault


def _retry_after(response: httpx.Response) -> float:
    """Seconds; a date, which this service never sends, counts as none."""
    value = response.headers.get("retry-after", "")
    return float(value) if value.isdigit() else 0.0
