"""One kept-alive HTTP/1.1 connection that costs next to nothing, for timing servers.

It knows just what the servers under test send: a status, a content length, a body.
"""

import socket
from types import TracebackType
from typing import Self

from relevance.errors import Unavailable

BLOCK = 1 << 18


class BareConnection:
    """A socket; closed by the `with` that opened it."""

    def __init__(self, port: int, *, host: str = "127.0.0.1", timeout_s: float = 60.0) -> None:
        self._host = host
        self._socket = socket.create_connection((host, port), timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def post(self, path: str, body: bytes) -> bytes:
        """The body of a 200 reply; raises `Unavailable` for any other."""
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._host}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        return self._reply(path)

    def _reply(self, path: str) -> bytes:
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._block(path)
        head, _, body = received.partition(b"\r\n\r\n")
        pieces = [body]
        missing = _content_length(head) - len(body)
        while missing > 0:
            pieces.append(self._block(path))
            missing -= len(pieces[-1])
        reply = b"".join(pieces)
        if head.split(b" ", 2)[1] != b"200":
            raise Unavailable(f"{path}: {head.splitlines()[0].decode()}: {reply[:200]!r}")
        return reply

    def _block(self, path: str) -> bytes:
        block = self._socket.recv(BLOCK)
        if not block:
            raise Unavailable(f"{path}: the connection was closed before the reply ended")
        return block


def _content_length(head: bytes) -> int:
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise Unavailable("a reply without content-length")
