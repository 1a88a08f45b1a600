"""The canonical text form of a chain of thought: `render` and `parse`.

    Query attributes:
    - product: water bottle
    - color: red
    Item attributes:
    - product: bottle -> match
    - color: blue -> mismatch
    Final judgment: Bad - color mismatch

Close to the paper's Figure 3. The n-th item line answers the n-th query line. Where the item is
silent the line reads `- brand: (not stated) -> missing`; where the query asks for nothing known,
both lists hold the line `- (none)`. `parse` knows the paper's words as well, in any case, and
refuses everything else with the position of the fault; free text from language models is read by
`teacher.online`, not here.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import NoReturn, TypeVar

from relevance.aspects import aspects
from relevance.domain import NOT_STATED, AspectFinding, ChainOfThought, Label, Verdict
from relevance.errors import BadInput, MalformedText

QUERY_HEADING = "Query attributes:"
ITEM_HEADING = "Item attributes:"
JUDGEMENT_HEADING = "Final judgment:"
NOTHING = "- (none)"

Word = TypeVar("Word")


def render(thought: ChainOfThought) -> str:
    """The canonical text; `parse(render(thought)) == thought`."""
    asked = [f"- {f.aspect}: {f.asked}" for f in thought.findings]
    offered = [f"- {f.aspect}: {f.offered or NOT_STATED} -> {f.verdict}" for f in thought.findings]
    cause = "" if thought.cause is None else f" - {thought.cause} mismatch"
    return "\n".join(
        [
            QUERY_HEADING,
            *(asked or [NOTHING]),
            ITEM_HEADING,
            *(offered or [NOTHING]),
            f"{JUDGEMENT_HEADING} {thought.label}{cause}",
        ]
    )


def parse(text: str) -> ChainOfThought:
    """The value whose canonical text this is, or the same in the paper's words.

    Raises `MalformedText` with the character offset of the first fault.
    """
    if foreign := _FOREIGN_LINE_END.search(text):
        raise MalformedText(
            f"expected lines ended by \\n alone, got {foreign[0]!r}", position=foreign.start()
        )
    cursor = _Cursor(text)
    cursor.take(_QUERY_HEADING, f"`{QUERY_HEADING}`")
    asked = cursor.lines(_ASKED, "`- <aspect>: <value>`")
    cursor.take(_ITEM_HEADING, f"`{ITEM_HEADING}`")
    offered = cursor.lines(_OFFERED, "`- <aspect>: <value> -> <verdict>`")
    if len(asked) != len(offered):
        cursor.refuse(f"{len(asked)} item lines, one for each query line, got {len(offered)}")
    findings = tuple(_finding(*lines) for lines in zip(asked, offered, strict=True))
    cursor.take(_JUDGEMENT_HEADING, f"`{JUDGEMENT_HEADING}`")
    return _judged(findings, cursor.take(_JUDGEMENT, "`Good` or `Bad - <aspect> mismatch`"))


_FOREIGN_LINE_END = re.compile(r"[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]")  # what splitlines knows
_QUERY_HEADING = re.compile(r"(?ai:Query attributes|Attributes of the query):\n")
_ITEM_HEADING = re.compile(r"(?ai:Item attributes|Attributes of the item):\n")
_JUDGEMENT_HEADING = re.compile(r"(?ai:Final judge?ment): ")
_NOTHING_LINE = re.compile(re.escape(NOTHING) + r"\n")
_VALUE = r"(?P<value>\S(?:.*\S)?)"
_ASKED = re.compile(rf"- (?P<aspect>[^:\n]+): {_VALUE}\n")
_OFFERED = re.compile(rf"- (?P<aspect>[^:\n]+): {_VALUE} -> (?P<verdict>.+)\n")
_JUDGEMENT = re.compile(r"(?P<label>\w+)(?: - (?P<aspect>.+) (?P<verdict>\w+))?\Z")

_LABELS = {label.casefold(): label for label in Label}
_VERDICTS = {
    "match": Verdict.MATCH,
    "matched": Verdict.MATCH,
    "mismatch": Verdict.MISMATCH,
    "mismatched": Verdict.MISMATCH,
    "missing": Verdict.MISSING,
    "not mentioned": Verdict.MISSING,
}


@cache
def _aspects_by_any_name() -> dict[str, str]:
    return {known.casefold(): aspect.name for aspect in aspects() for known in aspect.names}


class _Cursor:
    """A text and how far it was read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def take(self, pattern: re.Pattern[str], expected: str) -> re.Match[str]:
        found = pattern.match(self.text, self.at)
        if found is None:
            self.refuse(expected + f", got {self.text[self.at : self.at + 40]!r}")
        self.at = found.end()
        return found

    def lines(self, pattern: re.Pattern[str], expected: str) -> list[re.Match[str]]:
        if nothing := _NOTHING_LINE.match(self.text, self.at):
            self.at = nothing.end()
            return []
        found = [self.take(pattern, expected)]
        while self.text.startswith("- ", self.at):
            found.append(self.take(pattern, expected))
        return found

    def refuse(self, expected: str) -> NoReturn:
        raise MalformedText(f"chain of thought: expected {expected}", position=self.at)


def _word(found: re.Match[str], group: str, known: Mapping[str, Word]) -> Word:
    """What a word of the text means, in any case; refused where the table does not know it."""
    word = known.get(found[group].casefold())
    if word is None:
        raise MalformedText(
            f"{group}: expected one of {', '.join(known)}, got {found[group]!r}",
            position=found.start(group),
        )
    return word


def _finding(asked: re.Match[str], offered: re.Match[str]) -> AspectFinding:
    aspect = _word(asked, "aspect", _aspects_by_any_name())
    if _word(offered, "aspect", _aspects_by_any_name()) != aspect:
        raise MalformedText(
            f"item lines answer query lines in order: expected `{aspect}`, "
            f"got `{offered['aspect']}`",
            position=offered.start("aspect"),
        )
    value = None if offered["value"] == NOT_STATED else offered["value"]
    verdict = _word(offered, "verdict", _VERDICTS)
    try:
        return AspectFinding(aspect, asked["value"], value, verdict)
    except BadInput as fault:
        raise MalformedText(str(fault), position=offered.start("value")) from fault


def _judged(findings: tuple[AspectFinding, ...], found: re.Match[str]) -> ChainOfThought:
    label = _word(found, "label", _LABELS)
    cause = None
    if found["aspect"] is not None:
        cause = _word(found, "aspect", _aspects_by_any_name())
        if _word(found, "verdict", _VERDICTS) is not Verdict.MISMATCH:
            raise MalformedText("expected `mismatch`", position=found.start("verdict"))
    try:
        return ChainOfThought(findings, label, cause)
    except BadInput as fault:
        raise MalformedText(str(fault), position=found.start("label")) from fault
