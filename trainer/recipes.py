"""Recipes: frozen values that say how one student is trained, or its encoder adapted beforehand.

A run's folder names its recipe. Only what a reader would change stands here; the loops are
`train.py` and `adapt.py`.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from relevance.errors import BadInput
from relevance.item_text import ItemText


class CotLoss(StrEnum):
    """How a chain of thought is distilled.

    ATTENTION: attention score regulation. LITERAL: the same as the paper prints it. TAGGING: a CRF
    over BIO tags, for students that read query and item together.
    """

    ATTENTION = "attention"
    LITERAL = "literal"
    TAGGING = "tagging"


class Precision(StrEnum):
    """AUTO: bfloat16 where the processor multiplies it natively. FLOAT32: everywhere float32."""

    AUTO = "auto"
    FLOAT32 = "float32"


@dataclass(frozen=True, slots=True)
class Recipe:
    """Lengths count real tokens; rates are AdamW's; λ weigh the loss terms (paper, Eq. 9).

    A step learns from `human_pairs` and, where there is a pool, from `pseudo_blocks` of it;
    human-labelled pairs carry `human_share` of each loss term, whatever their number. The pool is
    thinned out until `good_share` of it is Good by the teacher (0: as it was drawn). `sharpness`
    multiplies the teacher's log-odds before distillation. The run keeps the best of
    `evaluations` evenly spaced states by Neg PR-AUC on the inner validation part.

    `student` is a `StudentKind`; `layers` are the encoder's layers it keeps (from 1; none: all),
    `heads` a ColBERT's smaller sizes, `codes` a Poly-Encoder's vectors a query. `unscaled` and
    `paper_eq4` read the score loss as the paper prints it. A step is worked off `micro_pairs` at a
    time (0: at once). Training ends after `patience` looks without a better one (0: never early);
    the mean of the last `averaged` looks' states competes with the best single one.
    """

    name: str
    steps: int = 220
    human_pairs: int = 64
    pseudo_blocks: int = 0
    learning_rate: float = 1e-4
    calibration_rate: float = 1e-2
    weight_decay: float = 0.01
    warmup_share: float = 0.08
    evaluations: int = 6
    lambda_score: float = 0.0
    lambda_cot: float = 0.0
    lambda_label: float = 1.0
    temperature: float = 2.0
    sharpness: float = 1.0
    human_share: float = 1.0
    good_share: float = 0.0
    dim: int = 128
    query_tokens: int = 16
    item_tokens: int = 32
    item_text: ItemText = ItemText.TITLE
    seed: int = 0
    student: str = "colbert"
    layers: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    codes: int = 16
    cot: CotLoss = CotLoss.ATTENTION
    unscaled: bool = False
    paper_eq4: bool = False
    lambda_aligned: float = 0.0
    lambda_listwise: float = 0.0
    micro_pairs: int = 0
    patience: int = 0
    averaged: int = 0
    precision: Precision = Precision.AUTO

    @property
    def uses_teacher(self) -> bool:
        """Whether judgements are needed at all."""
        distilled = (
            self.lambda_score,
            self.lambda_cot,
            self.lambda_aligned,
            self.lambda_listwise,
            self.pseudo_blocks,
        )
        return any(weight > 0 for weight in distilled)


@dataclass(frozen=True, slots=True)
class Adaptation:
    """How an encoder is adapted to a shop's own texts before it sees a label (`adapt.py`).

    A step contrasts `texts` texts of one kind, queries or item texts, each with a random share of
    its own words between `least_share` and `most_share`: two to seven of a title's some seventeen,
    about as many as a query has. Rate, decay and warm-up are AdamW's as a recipe's are; lengths
    count real tokens. Batch, temperature and rate are those of unsupervised SimCSE (Gao et al.,
    EMNLP 2021: 64, 0.05, 3e-5), not searched.
    """

    steps: int
    texts: int = 64
    learning_rate: float = 3e-5
    weight_decay: float = 0.01
    warmup_share: float = 0.08
    temperature: float = 0.05
    least_share: float = 0.1
    most_share: float = 0.4
    query_tokens: int = 16
    item_tokens: int = 32
    item_text: ItemText = ItemText.TITLE
    seed: int = 0

    def __post_init__(self) -> None:
        if self.texts < 2:
            raise BadInput(f"texts: expected at least 2 to tell apart in a step, got {self.texts}")


def ce() -> Recipe:
    """Cross-entropy on human labels alone: the ablation "w/o MKD", no teacher signal at all.

    Its rate was searched as `mkd`'s was (docs/results.md).
    """
    return Recipe("ce")


def mkd() -> Recipe:
    """Score distillation, attention regulation and (pseudo-)label cross-entropy.

    Temperature 2, λ_score 1 and λ_label 0.5 as in the paper's representation setting; λ_cot is
    re-tuned for a positive mean square (0.01 and 0.3 differed by 0.1 points, within noise). The
    pool's pairs come in blocks of alike texts, so a step costs about what one of `ce` costs though
    it learns from several times as many pairs. Rate and sharpness were chosen on a shop of another
    seed (docs/log.md); a sparse catalogue wants the pool thinned out (`good_share`) as well.
    """
    return Recipe(
        "mkd",
        lambda_score=1.0,
        lambda_cot=0.3,
        lambda_label=0.5,
        sharpness=2.5,
        human_pairs=32,
        pseudo_blocks=2,
        human_share=0.3,
        learning_rate=2e-4,
    )


def paper() -> Recipe:
    """The paper's setting for representation students, as far as it is printed.

    AdamW 5e-6, 256 pairs a step, 32/64 tokens, T = 2, λ 1.0/0.01/0.5; made for a base-size encoder
    and millions of pairs. A BERT student takes λ_cot 0.1 and `cot` tagging (`paper_bert`). Ours:
    a positive attention loss, log-odds targets, a share of a tenth for human labels in each step.
    """
    return Recipe(
        "paper",
        steps=20_000,
        human_pairs=26,
        pseudo_blocks=2,
        human_share=0.1,
        learning_rate=5e-6,
        warmup_share=0.05,
        evaluations=40,
        lambda_score=1.0,
        lambda_cot=0.01,
        lambda_label=0.5,
        query_tokens=32,
        item_tokens=64,
        micro_pairs=64,
        patience=8,
    )


def paper_bert() -> Recipe:
    """`paper` for the interaction student: sequence tagging with λ_cot 0.1."""
    return replace(paper(), name="paper_bert", student="bert", cot=CotLoss.TAGGING, lambda_cot=0.1)


def minilm() -> Recipe:
    """A MiniLM-size student on a shop's own data: 16/32 tokens, rate 6e-5, warm-up 5 %.

    Small encoders want higher rates than the paper's 5e-6 (design §3, row 15).
    """
    return Recipe(
        "minilm",
        steps=1000,
        human_pairs=32,
        pseudo_blocks=2,
        human_share=0.3,
        learning_rate=6e-5,
        warmup_share=0.05,
        evaluations=20,
        lambda_score=1.0,
        lambda_cot=0.3,
        lambda_label=0.5,
        sharpness=2.5,
        patience=6,
    )


RECIPES = {"ce": ce, "mkd": mkd, "paper": paper, "paper_bert": paper_bert, "minilm": minilm}


def recipe_named(name: str, **changes: object) -> Recipe:
    """A shipped recipe with changed settings; raises `BadInput` for an unknown name."""
    if name not in RECIPES:
        raise BadInput(f"recipe: expected one of {', '.join(RECIPES)}, got `{name}`")
    kept = {key: value for key, value in changes.items() if value is not None}
    return replace(RECIPES[name](), **kept)  # type: ignore[arg-type]  # checked by the caller's options
