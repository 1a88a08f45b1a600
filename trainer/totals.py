"""What a step's denominators are made of: counts that parts and processes add up.

A term of the loss is a sum over a batch divided by the whole step's count; how a step is split
(`batches.py`) and who holds which part (`world.py`) then changes no gradient.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from trainer.examples import Example


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """What a step's denominators are made of, summed over all its parts and processes.

    `pairs` and `scored` (those with a usable teacher's score) are by group: human-labelled, pool
    Bad, pool Good. `evidence_tokens` counts tokens with a factor, `evidence_texts` the texts that
    have any, `tagged_pairs` the pairs that have any, `supervised` what `losses.aligned` looks at,
    `lists` the queries with at least two scored pairs.
    """

    pairs: torch.Tensor
    scored: torch.Tensor
    evidence_tokens: float
    evidence_texts: float
    tagged_pairs: float
    supervised: float
    lists: float

    def group_weights(self, human_share: float) -> torch.Tensor:
        """The weight of one pair of each group: (3,). All pairs of the step weigh 1 together.

        Human-labelled pairs weigh alike; of the others the Good weigh as much as the Bad. A pool
        is mostly Bad, human labels are not: unbalanced, the pool would teach the bias another
        share of Good than the one it is calibrated for.
        """
        present = self.pairs > 0
        pseudo_share = (1.0 - human_share) if present[0] else 1.0
        pseudo_groups = int(present[1:].sum())
        mass = torch.tensor([human_share if pseudo_groups else 1.0, 0.0, 0.0])
        mass[1:] = pseudo_share / max(1, pseudo_groups) * present[1:]
        return mass / self.pairs.clamp(min=1)

    def scored_weight(self, human_share: float) -> float:
        """The weight of all pairs with a usable teacher's score together."""
        return float((self.group_weights(human_share) * self.scored).sum())

    def packed(self) -> torch.Tensor:
        """All of it as one float64 vector, which processes can add up."""
        scalars = [getattr(self, name) for name in _SCALARS]
        return torch.cat([self.pairs, self.scored, torch.tensor(scalars)]).double()

    @staticmethod
    def unpacked(vector: torch.Tensor) -> "Totals":
        """The inverse of `packed`."""
        scalars = dict(zip(_SCALARS, vector[6:].tolist(), strict=True))
        return Totals(vector[:3].float(), vector[3:6].float(), **scalars)


def count_totals(examples: Sequence[Example]) -> Totals:
    """The totals of these examples; a query's pairs must all be among them or none."""
    groups = torch.tensor([group_of(example) for example in examples], dtype=torch.long)
    scored = torch.tensor([example.log_odds is not None for example in examples], dtype=torch.bool)
    lists = Counter(example.query for example in examples if example.log_odds is not None)
    texts = [factors for e in examples for factors in (e.query_factors, e.item_factors)]
    tokens = [sum(factor != 0 for factor in factors) for factors in texts]
    return Totals(
        pairs=torch.bincount(groups, minlength=3).float(),
        scored=torch.bincount(groups[scored], minlength=3).float(),
        evidence_tokens=float(sum(tokens)),
        evidence_texts=float(sum(count > 0 for count in tokens)),
        tagged_pairs=float(sum(q + i > 0 for q, i in zip(tokens[::2], tokens[1::2], strict=True))),
        supervised=float(sum(_supervised(example.cells) for example in examples)),
        lists=float(sum(count > 1 for count in lists.values())),
    )


def group_of(example: Example) -> int:
    """0: human-labelled; 1: the pool's Bad; 2: its Good."""
    return 0 if example.human else 1 + int(example.good)


def _supervised(cells: tuple[tuple[int, int, int], ...]) -> int:
    """As `losses.aligned.supervised`, from cells instead of a matrix."""
    matching = [(row, column) for row, column, sign in cells if sign > 0]
    rows, columns = {row for row, _ in matching}, {column for _, column in matching}
    return len(rows) + len(columns) + len(cells) - len(matching)


_SCALARS = ("evidence_tokens", "evidence_texts", "tagged_pairs", "supervised", "lists")
