"""Documents become candidates of `/score`: items of the catalogue by id, or items sent along.

So a document scores bit for bit as the same item does there. What a document's text is, and how it
is cut where a request asks for fewer tokens than the bundle reads, is decided here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec
import numpy as np
from jaxtyping import Int64

from service.job import Job
from service.replies import Refused
from service.rerank.wire import is_sent_as_text
from service.wire import MAX_TEXT_CHARS, Candidates, InlineItem

FIELDS = frozenset(InlineItem.__struct_fields__) - {"id", "text"}  # of a catalogue's item
ANY_NUMBER = 1 << 30  # of tokens


@dataclass(frozen=True, slots=True)
class Reading:
    """How a request wants its documents read.

    `field` is what the request calls them and `numbers` how it counts them, for messages.
    `max_tokens` of None or more than the bundle reads changes nothing. `from_left` leaves out the
    beginning of what is too long.
    """

    field: str
    numbers: Sequence[int] = ()
    rank_fields: tuple[str, ...] = ()
    max_tokens: int | None = None
    from_left: bool = False

    def place(self, at: int) -> str:
        """The document's name in messages."""
        return f"{self.field}.{self.numbers[at] if self.numbers else at}"


@dataclass(frozen=True, slots=True)
class ReadDocuments:
    """Candidates, and at which place among them each document stands."""

    candidates: Candidates
    places: Int64[np.ndarray, " documents"]


def read_documents(
    job: Job, query: str, documents: Sequence[Any], reading: Reading
) -> ReadDocuments:
    """Raises `Refused` naming the document that has neither a text nor an id."""
    _check_count(job, len(documents), reading.field)
    found = [_candidate(at, document, reading) for at, document in enumerate(documents)]
    ids = [one for one in found if isinstance(one, str)]
    items = [_cut(job, one, reading) for one in found if isinstance(one, InlineItem)]
    most = job.limits.max_rerank_documents
    if len(items) > most:
        message = f"{reading.field}: expected at most {most} sent as text, got {len(items)}"
        raise Refused(422, "too_many_items", message, param=reading.field)
    is_id = np.array([isinstance(one, str) for one in found], np.bool_)
    places = np.where(is_id, np.cumsum(is_id) - 1, len(ids) + np.cumsum(~is_id) - 1)
    return ReadDocuments(Candidates(query=query, item_ids=ids, items=items), places)


def _check_count(job: Job, count: int, field: str) -> None:
    most = job.limits.max_candidates
    if not count:
        message = f"{field}: expected at least one document, got none"
        raise Refused(422, "no_candidates", message, param=field)
    if count > most:
        message = f"{field}: expected at most {most} documents, got {count}"
        raise Refused(422, "too_many_candidates", message, param=field)


def _candidate(at: int, document: Any, reading: Reading) -> InlineItem | str:
    """An item sent along, or the id of one in the catalogue."""
    if isinstance(document, str):
        return InlineItem(id=str(at), text=document)
    if not is_sent_as_text(document, reading.rank_fields):
        item_id = document.get("id")
        return item_id if isinstance(item_id, str) else _refuse(reading.place(at))
    place = reading.place(at)
    ranked = {name: document[name] for name in reading.rank_fields if name in document}
    if ranked:
        return _item(at, {"text": " ".join(_texts(ranked, place))}, place)
    if "text" in document:
        return _item(at, {"text": document["text"]}, place)
    return _item(at, {name: document[name] for name in FIELDS & document.keys()}, place)


def _refuse(place: str) -> NoReturn:
    message = f"{place}: expected a text, or an object with `text`, `title` or `id`"
    raise Refused(422, "invalid_document", message, param=place)


def _texts(fields: Mapping[str, Any], place: str) -> list[str]:
    for name, value in fields.items():
        if not isinstance(value, str):
            message = f"{place}.{name}: expected a text, got {type(value).__name__}"
            raise Refused(422, "invalid_document", message, param=f"{place}.{name}")
    return list(fields.values())


def _item(at: int, fields: Mapping[str, Any], place: str) -> InlineItem:
    try:
        return msgspec.convert({"id": str(at), **fields}, InlineItem)
    except msgspec.ValidationError as fault:
        message = f"{place}: {fault}"
        raise Refused(422, "invalid_document", message, param=place) from fault


def _cut(job: Job, item: InlineItem, reading: Reading) -> InlineItem:
    """The item with no more of its text than the request wants read."""
    longest = job.snapshot.bundle.max_item_tokens
    most = min(reading.max_tokens or longest, longest)
    if most == longest and not reading.from_left:
        return item  # the encoder itself cuts there
    text = job.snapshot.codec.text(item.to_item())
    limit = ANY_NUMBER if reading.from_left else most
    offsets = job.snapshot.encoder_of_items.tokenise(text, limit=limit).offsets
    if not offsets:
        return item
    kept = text[offsets[-most:][0][0] :] if reading.from_left else text[: offsets[-1][1]]
    return InlineItem(id=item.id, text=kept[:MAX_TEXT_CHARS])
