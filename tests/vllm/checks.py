"""What a tuned judge has to show on queries it never saw, and what falls short of it.

Compares chains of thought with the shop's gold; how they were made is not known here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from relevance.domain import ChainOfThought, Item, Verdict
from relevance.evidence import find_occurrences
from relevance.metrics import roc_auc
from relevance.text import fold, words
from teacher.online.llm.prompt import Mode, prompt
from tests.vllm.small_model import STYLE

Key = tuple[str, str]  # query, item id


@dataclass(frozen=True, slots=True)
class Seen:
    """One pair that was judged: label, gold chain, and what the judge said."""

    query: str
    item: Item
    good: bool
    gold: ChainOfThought
    log_odds: float
    thought: ChainOfThought | None


@dataclass(frozen=True, slots=True)
class Measures:
    """How a judge does; shares lie in [0, 1].

    `parsed`: pairs with a chain of thought. `grounded`: stated values that stand in the text they
    are said of (the query; the item as the prompt shows it). `product_f1`: what the query asks for
    as product, as in the gold chain; `verdict_f1`: that with the gold chain's verdict on it.
    """

    pairs: int
    roc_auc: float
    parsed: float
    grounded: float
    product_f1: float
    verdict_f1: float

    def content(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


LEAST = {"roc_auc": 0.70, "parsed": 0.95, "grounded": 0.80, "product_f1": 0.60}


def measured(pairs: Sequence[Seen]) -> Measures:
    """The measures of a judge over all pairs."""
    said = [pair for pair in pairs if pair.thought is not None]
    stated = [stands for pair in said for stands in _stated(pair)]
    return Measures(
        pairs=len(pairs),
        roc_auc=float(
            roc_auc(np.array([p.good for p in pairs]), np.array([p.log_odds for p in pairs]))
        ),
        parsed=len(said) / len(pairs),
        grounded=sum(stated) / max(len(stated), 1),
        product_f1=_f1([(_asked(p.thought), _asked(p.gold)) for p in pairs]),
        verdict_f1=_f1([(_judged(p.thought), _judged(p.gold)) for p in pairs]),
    )


def shortfalls(found: Measures) -> list[str]:
    """What is below its least value, in words; none where the judge passes."""
    return [
        f"{name}: expected at least {least:.2f}, got {getattr(found, name):.3f}"
        for name, least in LEAST.items()
        if not getattr(found, name) >= least
    ]


def token_overlap(pairs: Sequence[Seen]) -> float:
    """ROC-AUC of the share of the query's words that the title holds."""
    scores = [_overlap(pair.query, pair.item.title) for pair in pairs]
    return float(roc_auc(np.array([pair.good for pair in pairs]), np.array(scores)))


def _overlap(query: str, title: str) -> float:
    asked = set(words(query))
    return len(asked & set(words(title))) / max(len(asked), 1)


def _stated(pair: Seen) -> list[bool]:
    assert pair.thought is not None
    shown = prompt("", pair.item, mode=Mode.COT, style=STYLE)[-1]["content"]
    asked = [bool(find_occurrences(pair.query, f.asked)) for f in pair.thought.findings]
    offers = [f.offered for f in pair.thought.findings if f.offered is not None]
    return asked + [bool(find_occurrences(shown, offered)) for offered in offers]


def _judged(thought: ChainOfThought | None) -> set[tuple[str, Verdict]]:
    """The products asked for, and the verdict on each."""
    findings = thought.findings if thought is not None else ()
    return {(fold(f.asked).text, f.verdict) for f in findings if f.aspect == "product"}


def _asked(thought: ChainOfThought | None) -> set[str]:
    return {product for product, _ in _judged(thought)}


def _f1(pairs: Sequence[tuple[set[Any], set[Any]]]) -> float:
    """Over all pairs of what was said and what was right."""
    right = sum(len(said & gold) for said, gold in pairs)
    return 2 * right / max(sum(len(said) + len(gold) for said, gold in pairs), 1)


def seen_pairs(
    labels: Mapping[Key, bool],
    items: Mapping[str, Item],
    gold: Mapping[Key, ChainOfThought],
    log_odds: Mapping[Key, float],
    thoughts: Mapping[Key, ChainOfThought],
) -> list[Seen]:
    """Every labelled pair; one without log-odds counts as undecided."""
    return [
        Seen(
            query=key[0],
            item=items[key[1]],
            good=good,
            gold=gold[key],
            log_odds=log_odds.get(key, 0.0),
            thought=thoughts.get(key),
        )
        for key, good in labels.items()
    ]
