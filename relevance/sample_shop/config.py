"""How large, how noisy and which sample shop; nothing is generated here."""

from dataclasses import dataclass

from relevance.errors import BadInput

VERSION = (
    "sample-shop/1"  # part of every gold judgement's fingerprint: raise it when output changes
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopConfig:
    """One sample shop. The same values give the same bytes.

    `judged_per_query` is a mean; queries with few matches get fewer. `label_noise` is the share of
    labels that a tired annotator flips. `language` names a folder of vocabulary.
    """

    seed: int = 0
    items: int = 4400
    labelled_queries: int = 480
    unlabelled_queries: int = 2600
    judged_per_query: int = 12
    label_noise: float = 0.06
    language: str = "english"

    def __post_init__(self) -> None:
        for name in ("items", "labelled_queries", "unlabelled_queries", "judged_per_query"):
            if getattr(self, name) < 1:
                raise BadInput(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not 0 <= self.label_noise < 0.5:
            raise BadInput(f"label_noise: expected within [0, 0.5), got {self.label_noise}")

    @property
    def fingerprint(self) -> str:
        """What identifies a shop in its gold judgements."""
        return f"{VERSION} seed={self.seed} noise={self.label_noise:g}"
