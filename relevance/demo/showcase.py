"""What the demo asks the running service, and what of it is printed and kept.

Three queries are printed with their ranked items and reasons; five pairs go to the report; the
whole test fold is scored so that the report shows what is really served.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from relevance.bundle import read_bundle
from relevance.demo.live import Answers, median_milliseconds
from relevance.demo.plan import Plan
from relevance.domain import Item
from relevance.folds import read_folds, split
from relevance.records import Pair, read_catalogue, read_pairs

Say = Callable[[str], None]
Json = dict[str, Any]

SHOWN_QUERIES, SHOWN_ITEMS, REPORTED_PAIRS = 3, 4, 5
FEWEST_ITEMS = 3  # a shown query has at least as many judged items, of both labels where possible


def show(plan: Plan, answers: Answers, *, say: Say) -> Json:
    """Ask, print, measure; returns what `ellm evaluate report` calls `live`."""
    catalogue = {item.item_id: item for item in read_catalogue(plan.inputs[0])}
    labelled = read_pairs(plan.inputs[1], labelled=True)
    test = split(read_folds(plan.folds_file), labelled, fold=plan.served_fold).test
    by_query = _by_query(test)
    served = [row for query, pairs in by_query.items() for row in _served(answers, query, pairs)]
    shown = _choose(by_query)
    for query in shown:
        _print_query(answers, query, by_query[query], catalogue, say=say)
    return {
        "bundle": answers.get("/health")["bundle"],
        "generation": answers.get("/health")["generation"],
        "parity": read_bundle(plan.bundle).parity,
        **_latencies(answers, list(by_query), list(catalogue)),
        "served": served,
        "served_fold": f"fold{plan.served_fold}",
        "explained": _explained(answers, shown, by_query, catalogue, read_bundle(plan.bundle)),
    }


def _by_query(pairs: Iterable[Pair]) -> dict[str, list[Pair]]:
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair.query, []).append(pair)
    return groups


def _served(answers: Answers, query: str, pairs: Sequence[Pair]) -> list[Json]:
    """The service's score of every judged pair of a query."""
    reply: Any = answers.post("/score", {"query": query, "item_ids": [p.item_id for p in pairs]})
    scores = {row["index"]: row["score"] for row in reply["results"]}
    return [
        {"query": query, "item_id": pair.item_id, "good": pair.good, "score": scores[index]}
        for index, pair in enumerate(pairs)
    ]


def _choose(by_query: Mapping[str, Sequence[Pair]]) -> list[str]:
    """The first queries, in the data's order, whose pairs are of both labels; else any."""
    enough = [query for query, pairs in by_query.items() if len(pairs) >= FEWEST_ITEMS]
    mixed = [query for query in enough if len({pair.good for pair in by_query[query]}) == 2]
    wordy = sorted(mixed, key=lambda query: len(query.split()) < 3)  # they ask for more
    return (wordy or enough or list(by_query))[:SHOWN_QUERIES]


def _print_query(
    answers: Answers,
    query: str,
    pairs: Sequence[Pair],
    catalogue: Mapping[str, Item],
    *,
    say: Say,
) -> None:
    reply: Any = answers.post("/score", {"query": query, "item_ids": [p.item_id for p in pairs]})
    ranked = [row for row in reply["results"] if row["score"] is not None]
    middle = len(ranked) - SHOWN_ITEMS // 2
    kept = ranked if len(ranked) <= SHOWN_ITEMS else ranked[: SHOWN_ITEMS // 2] + ranked[middle:]
    humans = {pair.item_id: pair.good for pair in pairs}
    say(f"\n“{query}”: the best and the worst of {len(ranked)} judged items")
    for row in kept:
        human = "Good" if humans[row["id"]] else "Bad"
        title = catalogue[row["id"]].title
        say(f"  {row['score']:.3f} {row['label']:4} (human: {human})  {title[:90]}")
        explained: Any = answers.post("/explain", {"query": query, "item_id": row["id"]})
        verdicts = [f"{a['aspect']}: {a['verdict']}" for a in explained["aspects"]]
        say(f"        aspects: {', '.join(verdicts) or 'none found in the query'}")
        for line in (explained["chain_of_thought"] or "no teacher").splitlines():
            say(f"        | {line}")


def _explained(
    answers: Answers,
    shown: Sequence[str],
    by_query: Mapping[str, Sequence[Pair]],
    catalogue: Mapping[str, Item],
    bundle: Any,
) -> list[Json]:
    """Good and Bad pairs of the shown queries and a few more, with everything `/explain` says."""
    others = [query for query in by_query if query not in shown]
    pairs = []
    for number, query in enumerate([*shown, *others][:REPORTED_PAIRS]):
        wanted = number % 2 == 0
        members = by_query[query]
        pairs.append(next((pair for pair in members if pair.good is wanted), members[0]))
    entries = []
    for pair in pairs:
        reply: Any = answers.post("/explain", {"query": pair.query, "item_id": pair.item_id})
        title = catalogue[pair.item_id].title
        known = {"item_id": pair.item_id, "title": title, "good": pair.good}
        contributions = [
            {**part, "best_item_token": part["best"]["token"]} for part in reply["contributions"]
        ]
        extra = {"threshold": bundle.threshold, "contributions": contributions}
        entries.append({**reply, **known, **extra})
    return entries


def _latencies(answers: Answers, queries: Sequence[str], item_ids: Sequence[str]) -> Json:
    return {
        f"score_{count}_ms": median_milliseconds(answers, queries, item_ids, candidates=count)
        for count in (100, 1000)
    }
