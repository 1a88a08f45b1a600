"""A text cut into the pieces that lie under the same evidence, ready to be highlighted.

How a piece is drawn is each page's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from relevance.domain import EvidenceSpan, Relevance, Side
from relevance.errors import BadInput


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of characters under the same evidence; `spans` is empty where there is none."""

    text: str
    spans: tuple[EvidenceSpan, ...]

    @property
    def relevance(self) -> Relevance | None:
        """Irrelevant beats relevant on overlap, as in training."""
        if not self.spans:
            return None
        found = {span.relevance for span in self.spans}
        return Relevance.IRRELEVANT if Relevance.IRRELEVANT in found else Relevance.RELEVANT

    @property
    def says(self) -> str:
        """`color: irrelevant, product: relevant`."""
        said = (f"{span.aspect.replace('_', ' ')}: {span.relevance}" for span in self.spans)
        return ", ".join(dict.fromkeys(said))


def marked(
    text: str, side: Side, spans: Sequence[EvidenceSpan], *, where: str
) -> tuple[Piece, ...]:
    """`text` cut at every end of this side's spans; joined again it is `text`.

    Raises `BadInput`, which says `where`, for evidence outside the text.
    """
    own = [span for span in spans if span.side is side]
    for span in own:
        if span.end > len(text):
            raise BadInput(
                f"{where}: expected {side} evidence within [0, {len(text)}), "
                f"got [{span.start}, {span.end})"
            )
    bounds = sorted({0, len(text), *(at for span in own for at in (span.start, span.end))})
    return tuple(
        Piece(text[start:end], tuple(s for s in own if s.start <= start and end <= s.end))
        for start, end in zip(bounds, bounds[1:], strict=False)
    )
