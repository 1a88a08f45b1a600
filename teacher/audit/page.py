"""Draws an audit as one HTML page: no script, no request to any host, every text escaped.

It shows `audit.json` and computes nothing but wording; layout is the template's.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from relevance.domain import EvidenceSpan, Relevance, Side
from relevance.marked_text import Piece, marked

TEMPLATE = "page.html.j2"
UNDEFINED = "–"
KINDS = {
    "label_suspected": ("Label suspected", "the judges agree with each other, not with the label"),
    "student_missed": ("Student missed", "Bad by label and teacher, Good by the student"),
    "student_rejected": ("Student rejected", "Good by label and teacher, Bad by the student"),
    "teacher_missed": ("Teacher missed", "Bad by label and student, Good by the teacher"),
    "teacher_rejected": ("Teacher rejected", "Good by label and student, Bad by the teacher"),
    "agreed": ("Agreed", "label and judges say the same"),
}
_HAN, _KANA = re.compile("[\u3400-\u9fff\uf900-\ufaff]"), re.compile("[\u3040-\u30ff]")


def render_page(content: Mapping[str, Any]) -> str:
    """The page as HTML; the same content gives the same bytes.

    Raises `BadInput` where evidence lies outside its text.
    """
    pairs = [_pair(pair, number) for number, pair in enumerate(content["pairs"])]
    return str(_template().render(content=content, pairs=pairs, kinds=KINDS))


def percent(value: float | None) -> str:
    """A share with one decimal, a dash where it is undefined."""
    return UNDEFINED if value is None else f"{100 * value:.1f}\N{NO-BREAK SPACE}%"


def decimals(value: float | None) -> str:
    """A probability with two decimals."""
    return UNDEFINED if value is None else f"{value:.2f}"


def language(text: str) -> str:
    """The `lang` that makes Han characters take the right shapes; empty where it does not matter.

    >>> language("红色水杯"), language("赤いコップ"), language("red cup")
    ('zh', 'ja', '')
    """
    if _KANA.search(text):
        return "ja"
    return "zh" if _HAN.search(text) else ""


def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "decimals": decimals,
        "language": language,
        "words": lambda name: str(name).replace("_", " "),
        "count": lambda number: f"{number:,}",
    }
    return environment.get_template(TEMPLATE)


def _pair(pair: Mapping[str, Any], number: int) -> dict[str, Any]:
    spans = [
        EvidenceSpan(
            side=Side(span["side"]),
            start=span["start"],
            end=span["end"],
            relevance=Relevance(span["relevance"]),
            aspect=span["aspect"],
        )
        for span in pair["spans"]
    ]

    def shown(side: Side) -> tuple[Piece, ...]:
        return marked(pair[side], side, spans, where=f"pair {number} of the audit")

    return {**pair, "query_pieces": shown(Side.QUERY), "title_pieces": shown(Side.TITLE)}
