"""The query view's numbers: candidates under one bundle or two, each with `/score`'s very score.

Where no candidates are named, both bundles search the catalogue, and what either found is scored by
both.
"""

from collections.abc import Sequence

import numpy as np

from relevance.domain import Item
from service.console.browse import card
from service.console.compared import described
from service.console.pair import stage_ms
from service.console.wire import ItemCard, Place, RankedItem, RankReply, RankRequest
from service.job import Job
from service.query import encode_query
from service.ranking_wire import BAD, GOOD, LABELS, WORDS
from service.score import Ranking, rank
from service.search import search_reply
from service.search_wire import SearchRequest
from service.store.found import stored_items
from service.wire import Candidates, InlineItem


def rank_reply(job: Job, request: RankRequest, second: Job | None) -> RankReply:
    """Candidates under the job's bundle, and under the second's where there is one."""
    jobs = [job] if second is None else [job, second]
    query = encode_query(job, request.query)
    asked = _named(jobs, request) if request.lines else _found(jobs, request)
    most = None if request.lines else request.top_k
    return RankReply(
        query=query.text,
        rows=_rows(jobs, asked, most=most) if asked.item_ids or asked.items else [],
        threshold=job.snapshot.bundle.threshold,
        compared=None if second is None else described(second.snapshot),
        query_truncated=query.truncated,
        stage_ms=stage_ms(job),
        **job.origin,
    )


def _named(jobs: Sequence[Job], request: RankRequest) -> Candidates:
    """Lines as ids where one of the catalogues knows them, else as titles."""
    lines = list(dict.fromkeys(request.lines))
    known = [stored_items(job.snapshot.items, lines) for job in jobs]
    is_id = [any(items) for items in zip(*known, strict=True)]
    titles = [line for line, found in zip(lines, is_id, strict=True) if not found]
    return Candidates(
        query=request.query,
        item_ids=[line for line, found in zip(lines, is_id, strict=True) if found],
        items=[InlineItem(f"line {at}", title=one) for at, one in enumerate(titles, start=1)],
    )


def _found(jobs: Sequence[Job], request: RankRequest) -> Candidates:
    """The best of each bundle, the first bundle's first."""
    asked = SearchRequest(query=request.query, top_k=request.top_k)
    ids = [row.id for job in jobs for row in search_reply(job, asked).results]
    return Candidates(query=request.query, item_ids=list(dict.fromkeys(ids)))


def _rows(jobs: Sequence[Job], asked: Candidates, *, most: int | None) -> list[RankedItem]:
    rankings = [rank(job, asked) for job in jobs]
    places = [_places(ranking, most) for ranking in rankings]
    cards = _cards(jobs, asked)
    rows = [
        RankedItem(shown, known, first, second[0] if second else None)
        for (shown, known), first, *second in zip(cards, *places, strict=True)
    ]
    return [rows[at] for at in rankings[0].order.tolist()]


def _places(ranking: Ranking, most: int | None) -> list[Place]:
    """Each candidate's place; past the `most` best of a search nobody knows the rank."""
    ranks = np.empty(len(ranking.ids), np.int64)
    ranks[ranking.order] = np.arange(1, len(ranks) + 1)
    return [
        _place(ranking, at, None if most is not None and place > most else place)
        for at, place in enumerate(ranks.tolist())
    ]


def _place(ranking: Ranking, at: int, place: int | None) -> Place:
    score = float(ranking.scored.scores[at])
    status = WORDS[ranking.scored.statuses[at]]
    if score != score:  # NaN is not itself
        return Place(None, None, status, None)
    return Place(score, LABELS[GOOD if score >= ranking.threshold else BAD], status, place)


def _cards(jobs: Sequence[Job], asked: Candidates) -> list[tuple[ItemCard, bool]]:
    """How each candidate is shown, and whether the first catalogue has it."""
    known = [stored_items(job.snapshot.items, asked.item_ids) for job in jobs]
    cards = [
        (card(next(item for item in items if item is not None)), items[0] is not None)
        for items in zip(*known, strict=True)
    ]
    sent: list[Item] = [item.to_item() for item in asked.items]
    return cards + [(card(item), False) for item in sent]
