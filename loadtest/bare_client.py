"""One kept-alive HTTP/1.1 connection that costs next to nothing, for timing servers.

It knows just what the servers under test send: a status, a content length, a body.
"""

import select
import socket
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from relevance.errors import Unavailable

BLOCK = 1 << 18
JSON = {"content-type": "application/json"}


class BareConnection:
    """A socket, opened when first used; closed by the `with` around it."""

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        timeout_s: float = 60.0,
        headers: Mapping[str, str] = JSON,
    ) -> None:
        self._address, self._timeout_s = (host, port), timeout_s
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def post(self, path: str, body: bytes) -> bytes:
        """The body of a 200 reply; raises `Unavailable` for any other."""
        status, reply = self.exchange(path, body)
        if status != 200:
            raise Unavailable(f"{path}: status {status}: {reply[:200]!r}")
        return reply

    def exchange(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the reply; `OSError` or `Unavailable` where the connection broke."""
        if self._was_closed():
            self.close()
        if self._socket is None:
            self._socket = socket.create_connection(self._address, self._timeout_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = (
            f"POST {path} HTTP/1.1\r\nhost: {self._address[0]}\r\n{self._headers}"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + body)
        return self._reply(self._socket, path)

    def _reply(self, connection: socket.socket, path: str) -> tuple[int, bytes]:
        received = b""
        while b"\r\n\r\n" not in received:
            received += _block(connection, path)
        head, _, body = received.partition(b"\r\n\r\n")
        pieces = [body]
        lines = head.lower().splitlines()
        missing = _content_length(lines) - len(body)
        while missing > 0:
            pieces.append(_block(connection, path))
            missing -= len(pieces[-1])
        if b"connection: close" in lines:
            self.close()
        return int(head.split(b" ", 2)[1]), b"".join(pieces)

    def _was_closed(self) -> bool:
        """An idle connection with something to read has been closed by the other side."""
        return self._socket is not None and bool(select.select([self._socket], [], [], 0)[0])


def _block(connection: socket.socket, path: str) -> bytes:
    block = connection.recv(BLOCK)
    if not block:
        raise Unavailable(f"{path}: the connection was closed before the reply ended")
    return block


def _content_length(lines: list[bytes]) -> int:
    for line in lines:
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    raise Unavailable("a reply without content-length")
