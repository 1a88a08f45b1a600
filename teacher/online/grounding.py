"""Findings with the places in query and title they speak of, and the evidence that follows.

Which verdict holds is decided in `matching.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relevance.domain import AspectFinding, EvidenceSpan, Label, Relevance, Side, Verdict
from teacher.online.readings import ItemReading, Mention, Span


@dataclass(frozen=True, slots=True)
class Grounded:
    """A finding with the places in query and title it speaks of."""

    finding: AspectFinding
    query_spans: tuple[Span, ...]
    title_spans: tuple[Span, ...] = ()


def evidence(grounded: Sequence[Grounded], label: Label) -> tuple[EvidenceSpan, ...]:
    """The spans that speak for or against the pair (design: a silent title counts on Bad pairs).

    Where the item is silent, the query's words are evidence against a Bad pair and none on a Good
    one; the title gets none.
    """
    spans = []
    for one in grounded:
        verdict, aspect = one.finding.verdict, one.finding.aspect
        if verdict is Verdict.MISSING and label is Label.GOOD:
            continue
        speaks = Relevance.RELEVANT if verdict is Verdict.MATCH else Relevance.IRRELEVANT
        spans += [EvidenceSpan(Side.QUERY, *span, speaks, aspect) for span in one.query_spans]
        spans += [EvidenceSpan(Side.TITLE, *span, speaks, aspect) for span in one.title_spans]
    return tuple(dict.fromkeys(spans))


def ground(asks: Sequence[Mention], verdict: Verdict, offers: Sequence[Mention]) -> Grounded:
    """One finding for `asks`; the first offer is shown, all that stand in the title are marked."""
    asked = ", ".join(dict.fromkeys(ask.text for ask in asks))
    offered = offers[0].text if offers and verdict is not Verdict.MISSING else None
    return Grounded(
        AspectFinding(asks[0].aspect, asked, offered, verdict),
        tuple(dict.fromkeys(ask.span for ask in asks if ask.span)),
        tuple(dict.fromkeys(offer.span for offer in offers if offer.span)),
    )


def title_spans(item: ItemReading, value: str) -> list[Span]:
    """Where the words of a value stand side by side in the title."""
    parts = value.split()
    spans = []
    for at in item.positions.get(parts[0], ()) if parts else ():
        named = item.words[at : at + len(parts)]
        if [word.stem for word in named] == parts:
            spans.append((named[0].start, named[-1].end))
    return spans


def title_mention(item: ItemReading, ask: Mention, span: Span) -> Mention:
    """What the title says at a place, as an offer to `ask`."""
    return Mention(ask.aspect, ask.value, item.title[slice(*span)], span)


def told(ask: Mention) -> Mention:
    """The ask's own words as an offer, where the item says them outside its title."""
    return Mention(ask.aspect, ask.value, ask.text)
