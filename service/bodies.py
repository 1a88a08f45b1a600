"""Bodies in and out: JSON or MessagePack, checked against the schema while they are read.

What a refused body gets told is decided here; which routes read what is theirs.
"""

import re
from collections.abc import Callable, Collection, Sequence
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
_UNKNOWN = re.compile(r"^Object contains unknown field `(.{1,100}?)`")


# What decoding raises for a body that is not of its encoding, beside msgspec.ValidationError.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


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
        raise _misfit(str(fault), schema) from fault
    except UNREADABLE as fault:
        raise _unreadable(fault, encoding) from fault


def read_one_of(
    body: bytes, schemas: Sequence[type[msgspec.Struct]], encoding: Encoding
) -> msgspec.Struct:
    """The body of a route that takes several shapes, told apart by the fields each must have.

    The first shape is tried first, so it costs as much as if it were the only one. The fields of
    two shapes in one body are refused with 422.
    """
    try:
        return read(body, schemas[0], encoding)
    except Refused as refused:
        if refused.status != 422 or len(schemas) == 1:
            raise
        schema = _told_apart(_names(body, encoding), schemas)
        if schema is schemas[0]:
            raise
    return read(body, schema, encoding)


def reply(content: Any, encoding: Encoding, *, status: int = 200) -> Response:
    """A reply on the wire; floats keep every bit."""
    return Response(ENCODERS[encoding](content), status, media_type=encoding.value)


def _names(body: bytes, encoding: Encoding) -> set[str]:
    """A body's field names; none where it is no object.

    A body can be unreadable beyond the place where the first shape already gave up: refused too.
    """
    try:
        return set(_decoder(dict[str, msgspec.Raw], encoding)(body))
    except msgspec.ValidationError:
        return set()
    except UNREADABLE as fault:
        raise _unreadable(fault, encoding) from fault


def _told_apart(names: set[str], schemas: Sequence[type[msgspec.Struct]]) -> type[msgspec.Struct]:
    """The shape whose required fields are there; the first where no name hints at another."""
    needed = {schema: _needed(schema) for schema in schemas}
    fitting = [schema for schema in schemas if needed[schema] <= names]
    if len(fitting) == 1:
        return fitting[0]
    foreign = names & frozenset().union(*needed.values()) - {
        field.encode_name for field in msgspec.structs.fields(schemas[0])
    }
    if not fitting and not foreign:
        return schemas[0]
    shapes = "; ".join(_listed(needed[schema]) for schema in schemas)
    message = f"expected the fields of one of these: {shapes}; got {_listed(names)[:200]}"
    raise Refused(422, "mixed_request" if fitting else "invalid_request", message)


@cache
def _needed(schema: type[msgspec.Struct]) -> frozenset[str]:
    fields = msgspec.structs.fields(schema)
    return frozenset(field.encode_name for field in fields if field.required)


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names))


@cache
def _decoder(schema: Any, encoding: Encoding) -> Callable[[bytes], Any]:
    if encoding is Encoding.JSON:
        return msgspec.json.Decoder(schema).decode
    return msgspec.msgpack.Decoder(schema).decode


def _unreadable(fault: Exception, encoding: Encoding) -> Refused:
    return Refused(400, f"invalid_{encoding.name.lower()}", str(fault))


def _misfit(message: str, schema: type[msgspec.Struct]) -> Refused:
    """What to say; of an unknown field at the top also which fields there are."""
    place, unknown = _PLACE.search(message), _UNKNOWN.match(message)
    path = "" if place is None else place.group(1)
    if unknown is not None:
        path = f"{path}.{unknown.group(1)}"
        if place is None:
            known = {field.encode_name for field in msgspec.structs.fields(schema)}
            message += f", only {_listed(known)}"
    return Refused(422, "invalid_request", message, param=_dotted(path))


def _dotted(path: str) -> str | None:
    """`.items[1].id` as `items.1.id`."""
    return re.sub(r"\[(\d+|\.\.\.)\]", r".\1", path).strip(".") or None
