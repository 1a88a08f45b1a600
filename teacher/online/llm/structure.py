"""Regular expressions that bind a model to the canonical form of a chain of thought.

The form's n-th item line answers its n-th query line, which no regular expression can say in one
piece. So an answer is written in two requests: the query's lines first, then the item's lines and
the judgement under an expression made for those query lines. What comes out always parses.
"""

import re
from collections.abc import Sequence

from relevance.aspects import OTHER, aspect_names
from relevance.chain_of_thought import (
    ITEM_HEADING,
    JUDGEMENT_HEADING,
    NOTHING,
    QUERY_HEADING,
)
from relevance.domain import NOT_STATED, Label, Verdict

MOST_ASKED = 8  # lines a query may have
_LONGEST_VALUE = 60  # characters

# White space and line ends as Python sees them, spelled out: engines differ in what \s means.
_LINE_ENDS = r"\n\r\u000b\u000c\u001c-\u001e\u0085\u2028\u2029"
_SPACES = rf"{_LINE_ENDS}\t\u001f \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"


def query_part() -> str:
    """What binds the first request: query lines, up to the heading of the item's lines."""
    line = f"- ({'|'.join(aspect_names())}): {_value()}"
    lines = rf"({_literal(NOTHING)}\n|({line}\n){{1,{MOST_ASKED}}})"
    return rf"{_literal(QUERY_HEADING)}\n{lines}{_literal(ITEM_HEADING)}\n"


def item_part(asked: Sequence[str]) -> str:
    """What binds the second request where the judgement is read elsewhere: one line an aspect.

    `asked` are the aspects of the query's lines, in their order.
    """
    return _lines(asked) + _literal(JUDGEMENT_HEADING)


def item_part_and_judgement(asked: Sequence[str]) -> str:
    """The same with a judgement whose cause fits: a mismatching aspect, or `other` without one."""
    good = f"{_lines(asked)}{_literal(f'{JUDGEMENT_HEADING} {Label.GOOD}')}"
    unexplained = f"{_lines(asked, mismatch=None)}{_bad(OTHER)}"
    explained = [_lines(asked, mismatch=at) + _bad(aspect) for at, aspect in enumerate(asked)]
    return "|".join(f"({choice})" for choice in (good, unexplained, *explained))


def asked_aspects(begun: str) -> tuple[str, ...]:
    """The aspects of the query's lines in an answer begun under `query_part`."""
    lines = begun.partition(ITEM_HEADING)[0].split("\n")
    found = (re.match(r"- ([^:]+): ", line) for line in lines)
    return tuple(line[1] for line in found if line)


_EVERY = -1


def _lines(asked: Sequence[str], *, mismatch: int | None = _EVERY) -> str:
    """Item lines: with any verdicts, with no mismatch (None), or with one at a place at least."""
    if not asked:
        return rf"{_literal(NOTHING)}\n"
    return "".join(
        _line(aspect, must=at == mismatch, may=mismatch is not None)
        for at, aspect in enumerate(asked)
    )


def _line(aspect: str, *, must: bool, may: bool) -> str:
    silent = f"{_literal(NOT_STATED)} -> {Verdict.MISSING}"
    if must:
        told = f"{_value(not_first='(')} -> {Verdict.MISMATCH}"
    else:
        verdicts = f"({Verdict.MATCH}|{Verdict.MISMATCH})" if may else str(Verdict.MATCH)
        told = f"({_value(not_first='(')} -> {verdicts}|{silent})"
    return rf"- {aspect}: {told}\n"


def _bad(cause: str) -> str:
    return _literal(f"{JUDGEMENT_HEADING} {Label.BAD} - {cause} mismatch")


def _value(*, not_first: str = "") -> str:
    """One trimmed line of text; an offered one cannot be the words for silence."""
    return f"[^{_SPACES}{not_first}]([^{_LINE_ENDS}]{{0,{_LONGEST_VALUE - 2}}}[^{_SPACES}])?"


def _literal(text: str) -> str:
    return re.sub(r"([().|*+?\[\]{}\\^$])", r"\\\1", text)
