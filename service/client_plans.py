"""What the clients ask and how answers are put together, without sockets or clocks.

A plan is a generator: it yields calls, is sent their decoded replies, and returns the result. So
one plan serves the synchronous and the asynchronous client. Rerank's is in `client_rerank.py`.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, TypeVar

import msgspec

from relevance.domain import Label
from relevance.errors import BadInput, Unavailable
from service.explain_wire import ExplainReply, ExplainRequest
from service.search_wire import SearchReply, SearchRequest
from service.wire import (
    BatchColumnsReply,
    BatchRequest,
    Candidates,
    ColumnsAnswer,
    ColumnsReply,
    Format,
    InlineItem,
    OnMissing,
    ScoreColumns,
    ScoreReply,
    ScoreRequest,
    ScoreRow,
    Status,
)
from service.wire_status import HealthReply, InfoReply, LimitsInfo

CONFLICT = "generation_not_loaded"
RESTARTS = 3  # of a split request that a swap of the generation cut in two


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request and the schema of its reply."""

    method: str
    path: str
    reply: type[Any]
    body: msgspec.Struct | None = None


INFO = Call("GET", "/info", InfoReply)
HEALTH = Call("GET", "/health", HealthReply)
LIMITS = Call("GET", "/info", LimitsInfo)  # of `/info`; clients ask once and remember


class Rejected(BadInput):
    """The service refuses a request; `code` is stable, `param` names the field at fault."""

    def __init__(self, message: str, *, status: int, code: str, param: str | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True)
class Options:
    """What holds for every piece of a request; see `wire.ScoreRequest`.

    `experiment_key` names whom an experiment assigns: a shopper, say, whose requests all meet the
    same variant.
    """

    on_missing: OnMissing = OnMissing.ENCODE
    strict_deadline: bool = False
    generation: str | None = None
    experiment_key: str | None = None


USUAL = Options()
Result = TypeVar("Result")
Plan = Generator[Call, Any, Result]
_Row = tuple[str, int, float | None, Label | None, Status, bool]


def score_plan(asked: Candidates, options: Options, limits: LimitsInfo) -> Plan[ColumnsReply]:
    """Score any number of candidates; pieces are answered from one generation, or all anew."""

    limits = _beside(options, limits)

    def pieces() -> Plan[ColumnsReply]:
        return _score_pieces(asked, options, limits)

    return (yield from from_one_generation("/score", pieces, pin=options.generation))


def from_one_generation(
    path: str, pieces: Callable[[], Plan[Result]], *, pin: str | None
) -> Plan[Result]:
    """Ask for all pieces anew where the generation changed between them; a caller's `pin` stays."""
    for _ in range(RESTARTS):
        try:
            return (yield from pieces())
        except Rejected as rejected:
            if rejected.code != CONFLICT or pin is not None:
                raise
    raise Unavailable(f"{path}: the generation changed in each of {RESTARTS} attempts")


def batch_plan(
    asked: Sequence[Candidates], options: Options, limits: LimitsInfo
) -> Plan[list[ColumnsAnswer]]:
    """Score several queries, in as few requests as the limits allow; answers in their order."""
    answers: list[ColumnsAnswer] = []
    left = _beside(options, limits)
    for group in _groups(asked, left):
        if not _fits(group, left):  # one query that is too much for any single request
            reply = yield from score_plan(group[0], options, limits)
            answers.append(ColumnsAnswer(reply.columns, reply.query_truncated, error=None))
            continue
        body = BatchRequest(
            requests=group,
            on_missing=options.on_missing,
            strict_deadline=options.strict_deadline,
            format=Format.COLUMNS,
            generation=options.generation,
            experiment_key=options.experiment_key,
        )
        together: BatchColumnsReply = yield Call("POST", "/score/batch", BatchColumnsReply, body)
        answers.extend(together.replies)
    return answers


def single(call: Call) -> Plan[Any]:
    """The plan that is one call."""
    return (yield call)


def explain_call(body: ExplainRequest) -> Call:
    """Why one pair scores as it does."""
    return Call("POST", "/explain", ExplainReply, body)


def search_call(body: SearchRequest) -> Call:
    """The catalogue's best items."""
    return Call("POST", "/search", SearchReply, body)


def rows_of(reply: ColumnsReply) -> ScoreReply:
    """The same reply, one value a candidate."""
    return ScoreReply(
        results=[ScoreRow(*row) for row in _rows(reply.columns)],
        query_truncated=reply.query_truncated,
        bundle=reply.bundle,
        generation=reply.generation,
        sequence=reply.sequence,
        degraded=reply.degraded,
        variant=reply.variant,
    )


def _score_pieces(asked: Candidates, options: Options, limits: LimitsInfo) -> Plan[ColumnsReply]:
    pin = options.generation
    replies: list[tuple[int, ColumnsReply]] = []
    for start, piece in _pieces(asked, limits):
        body = ScoreRequest(
            query=piece.query,
            item_ids=piece.item_ids,
            items=piece.items,
            top_n=piece.top_n,
            on_missing=options.on_missing,
            strict_deadline=options.strict_deadline,
            format=Format.COLUMNS,
            generation=pin,
            experiment_key=options.experiment_key,
        )
        reply: ColumnsReply = yield Call("POST", "/score", ColumnsReply, body)
        replies.append((start, reply))
        pin = reply.generation
    return replies[0][1] if len(replies) == 1 else _merged(replies, asked.top_n)


def _merged(replies: Sequence[tuple[int, ColumnsReply]], top_n: int | None) -> ColumnsReply:
    """Pieces of one ranking, each with the place of its first candidate, as the whole."""
    rows = [
        (item_id, start + index, score, label, status, truncated)
        for start, reply in replies
        for item_id, index, score, label, status, truncated in _rows(reply.columns)
    ]
    rows.sort(key=_rank)
    last = replies[-1][1]
    return ColumnsReply(
        columns=ScoreColumns(*map(list, zip(*rows[:top_n], strict=True))),
        query_truncated=last.query_truncated,
        bundle=last.bundle,
        generation=last.generation,
        sequence=last.sequence,
        degraded=list(dict.fromkeys(chain.from_iterable(r.degraded for _, r in replies))),
        variant=last.variant,
    )


def _rank(row: _Row) -> tuple[bool, float, int]:
    _, index, score, *_ = row
    return score is None, -(score or 0.0), index


def _rows(columns: ScoreColumns) -> Iterator[_Row]:
    return zip(
        columns.id,
        columns.index,
        columns.score,
        columns.label,
        columns.status,
        columns.truncated,
        strict=True,
    )


def _pieces(asked: Candidates, limits: LimitsInfo) -> Iterator[tuple[int, Candidates]]:
    """Candidates in pieces within the limits, each with the place of its first candidate."""
    if _fits([asked], limits) or not _count(asked):
        yield 0, asked
        return
    ids, items = asked.item_ids, asked.items
    for start in range(0, len(ids), limits.max_candidates):
        some_ids = ids[start : start + limits.max_candidates]
        yield from _fitting(start, asked, some_ids, [], limits)
    most = max(min(limits.max_candidates, limits.max_inline_items), 1)
    for start in range(0, len(items), most):
        yield from _fitting(len(ids) + start, asked, [], items[start : start + most], limits)


def _fitting(
    start: int,
    asked: Candidates,
    ids: list[str],
    items: list[InlineItem],
    limits: LimitsInfo,
) -> Iterator[tuple[int, Candidates]]:
    """One piece, or its halves where it would be too long a body."""
    piece = Candidates(query=asked.query, item_ids=ids, items=items, top_n=asked.top_n)
    count = _count(piece)
    if count == 1 or _bytes(piece) <= limits.max_body_bytes:
        yield start, piece
        return
    half = count // 2
    yield from _fitting(start, asked, ids[:half], items[:half], limits)
    yield from _fitting(start + half, asked, ids[half:], items[half:], limits)


def _groups(asked: Sequence[Candidates], limits: LimitsInfo) -> Iterator[list[Candidates]]:
    group: list[Candidates] = []
    for one in asked:
        if group and not _fits([*group, one], limits):
            yield group
            group = []
        group.append(one)
    if group:
        yield group


def _fits(group: Sequence[Candidates], limits: LimitsInfo) -> bool:
    return (
        len(group) <= limits.max_batch_queries
        and sum(map(_count, group)) <= limits.max_batch_candidates
        and max(map(_count, group)) <= limits.max_candidates
        and sum(len(one.items) for one in group) <= limits.max_inline_items
        and sum(map(_bytes, group)) <= limits.max_body_bytes
    )


def _beside(options: Options, limits: LimitsInfo) -> LimitsInfo:
    """The limits of what goes along with these options: a key may be as long as a title."""
    key = len((options.experiment_key or "").encode())
    return msgspec.structs.replace(limits, max_body_bytes=limits.max_body_bytes - key)


def _count(asked: Candidates) -> int:
    return len(asked.item_ids) + len(asked.items)


def _bytes(asked: Candidates) -> int:
    """The length of its body, with room for the options that go along."""
    return len(msgspec.msgpack.encode(asked)) + 512
