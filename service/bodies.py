"""Bodies in and out: JSON or MessagePack, checked against the schema while they are read.

What a refused body gets told is decided here; which routes read what is theirs.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar

import msgspec
from starlette.responses import Response

from service.replies import Refused

T = TypeVar("T", bound=msgspec.Struct)


class Encoding(StrEnum):
    """The two encodings, by content type."""

    JSON = "application/json"
    MSGPACK = "application/msgpack"


MSGPACK_NAMES = ("application/msgpack", "application/x-msgpack", "application/vnd.msgpack")
ENCODERS: dict[Encoding, Callable[[Any], bytes]] = {
    Encoding.JSON: msgspec.json.Encoder().encode,
    Encoding.MSGPACK: msgspec.msgpack.Encoder().encode,
}
_PLACE = re.compile(r" - at `(?:key in )?\$(.*)`$")  # how msgspec ends a message about a field


def encoding_of(media_types: str | None, *, otherwise: Encoding = Encoding.JSON) -> Encoding:
    """The encoding a `content-type` or `accept` header names first; JSON where it names neither."""
    for media_type in (media_types or "").lower().split(","):
        name = media_type.partition(";")[0].strip()
        if name in MSGPACK_NAMES:
            return Encoding.MSGPACK
        if name == Encoding.JSON:
            return Encoding.JSON
    return otherwise


def read(body: bytes, schema: type[T], encoding: Encoding) -> T:
    """A request's body; refuses with 400 what is not of this encoding, 422 what does not fit."""
    try:
        return _decoder(schema, encoding)(body)
    except msgspec.ValidationError as fault:
        raise _misfit(str(fault)) from fault
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:
        raise Refused(400, f"invalid_{encoding.name.lower()}", str(fault)) from fault


def reply(content: msgspec.Struct, encoding: Encoding, *, status: int = 200) -> Response:
    """A reply on the wire; floats keep every bit."""
    return Response(ENCODERS[encoding](content), status, media_type=encoding.value)


@cache
def _decoder(schema: type[T], encoding: Encoding) -> Callable[[bytes], T]:
    if encoding is Encoding.JSON:
        return msgspec.json.Decoder(schema).decode
    return msgspec.msgpack.Decoder(schema).decode


def _misfit(message: str) -> Refused:
    place = _PLACE.search(message)
    param = None if place is None else _dotted(place.group(1))
    return Refused(422, "invalid_request", message, param=param)


def _dotted(path: str) -> str | None:
    """`.items[1].id` as `items.1.id`."""
    return re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path).strip(".") or None
