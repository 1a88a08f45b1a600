"""Refuses long bodies before anything parses them, whether or not their length is declared."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.replies import Refused, refusal_reply


class BodyLimit:
    """ASGI middleware: 413 for a body over `max_bytes`."""

    def __init__(self, app: ASGIApp, *, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif _declared_bytes(scope) > self._max_bytes:
            refused = self._refused()
            reply = refusal_reply(refused, path=scope["path"])
            await reply(scope, receive, send)
        else:
            await self._app(scope, self._counting(receive), send)

    def _counting(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_bytes:
                raise self._refused()
            return message

        return counted

    def _refused(self) -> Refused:
        return Refused(413, "body_too_large", f"body: expected at most {self._max_bytes} bytes")


def _declared_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
