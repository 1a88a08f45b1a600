"""Reads what a language model wrote: its chain of thought, and the places it speaks of.

Only dressing is taken off (chatter around the answer, code fences, bullets of another shape); what
is left must be the canonical form or the paper's wording, else it is refused.
"""

import re
from collections.abc import Iterator

from relevance.chain_of_thought import JUDGEMENT_HEADING, parse
from relevance.domain import AspectFinding, ChainOfThought, EvidenceSpan, Label
from relevance.errors import MalformedText
from relevance.evidence import find_occurrences
from relevance.text import normalise
from teacher.online.grounding import Grounded, evidence
from teacher.online.readings import Span

_START = re.compile(r"^[ \t*#]*(Query attributes|Attributes of the query)\b", re.I | re.M)
_JUDGED = re.compile(r"^[ \t*#]*Final judge?ment\b[^\n]*", re.I | re.M)
_BULLET = re.compile(r"^[ \t]*[-*•][ \t]+", re.M)
_FENCE = re.compile(r"^[ \t]*```.*$", re.M)


def read_reply(text: str) -> ChainOfThought:
    """The chain of thought a model wrote.

    Raises `MalformedText` where there is none; the position counts in `undressed(text)`.
    """
    return parse(undressed(text))


def read_findings(text: str) -> tuple[AspectFinding, ...]:
    """The findings of an answer that ends before its judgement."""
    return parse(f"{undressed(text).removesuffix(JUDGEMENT_HEADING).rstrip()}\n{_ANY}").findings


def undressed(text: str) -> str:
    """The answer's lines from the first heading to the judgement, or to the end without one."""
    lines = _FENCE.sub("", text.replace("\r\n", "\n").replace("**", ""))
    if (start := _START.search(lines)) is None:
        raise MalformedText(
            "chain of thought: expected `Query attributes:`, found none", position=0
        )
    lines = lines[start.start(1) :]
    if (judged := _JUDGED.search(lines)) is not None:
        lines = lines[: judged.end()]
    lines = _BULLET.sub("- ", lines)
    return "\n".join(line.strip() for line in lines.split("\n") if line.strip())


def spans_of(thought: ChainOfThought, query: str, title: str) -> tuple[EvidenceSpan, ...]:
    """The evidence a chain of thought names, as places in the normalised query and title.

    Every occurrence of a value counts; a value the texts do not hold has none and is never guessed.
    """
    query, title = normalise(query), normalise(title)
    return evidence([_grounded(f, query, title) for f in thought.findings], thought.label)


_ANY = f"{JUDGEMENT_HEADING} {Label.GOOD}"  # a judgement that fits any findings


def _grounded(finding: AspectFinding, query: str, title: str) -> Grounded:
    return Grounded(
        finding,
        tuple(_places(query, finding.asked)),
        tuple(_places(title, finding.offered)) if finding.offered else (),
    )


def _places(text: str, value: str) -> Iterator[Span]:
    """Where a value stands; where it does not as a whole, its parts between commas."""
    if whole := find_occurrences(text, value):
        yield from whole
        return
    for part in value.split(", "):
        yield from find_occurrences(text, part)
