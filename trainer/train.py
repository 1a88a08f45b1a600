"""The training loop, readable top to bottom: one student, one recipe, one folder.

What is learned from stands in `examples.py` and `batches.py`, the objective in `losses/`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np
import torch
from tqdm import tqdm

from relevance.domain import Item, Judgement
from relevance.errors import BadInput
from relevance.late_interaction import sigmoid
from relevance.metrics import neg_pr_auc, roc_auc
from relevance.records import Pair
from trainer.batches import Batch, batches, make_batch
from trainer.examples import Example, TextLengths, TextTable, make_examples, tokenise_texts
from trainer.losses.mkd import batch_similarities, mkd_loss
from trainer.memory import keep_freed_memory
from trainer.pool_balance import balanced_pool
from trainer.recipes import Recipe
from trainer.scoring import score_pairs
from trainer.students.backbone import DEFAULT_BACKBONE, Backbone, read_backbone
from trainer.students.checkpoint import Checkpoint, StudentCard
from trainer.students.colbert import ColBERT, mean_maxsim
from trainer.students.precision import mixed_precision, seed_everything
from trainer.students.texts import pad

START_TEXTS = 1024  # texts the projection's axes are found on
START_PAIRS = 256  # pairs the bias is centred on


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Human-labelled pairs to learn from and to validate on, and a pool the teacher judged."""

    train: Sequence[Pair]
    validation: Sequence[Pair]
    pool: Sequence[Pair]
    catalogue: Mapping[str, Item]
    judgements: Mapping[tuple[str, str], Judgement]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One look at the inner validation part."""

    step: int
    neg_pr_auc: float
    roc_auc: float


def train_student(
    data: TrainingData, recipe: Recipe, *, backbone_name: str = DEFAULT_BACKBONE
) -> tuple[Checkpoint, tuple[Evaluation, ...], Counter[str]]:
    """Train a ColBERT student and return its best state by Neg PR-AUC on the validation part.

    Also returns the validation curve and the counts of what `make_examples` left out.
    """
    _check_validation(data.validation)
    keep_freed_memory()
    seed_everything(recipe.seed)
    backbone = read_backbone(backbone_name)
    pool = _pool(data, recipe)
    lengths = TextLengths(recipe.query_tokens, recipe.item_tokens, recipe.item_text)
    texts = tokenise_texts(
        backbone.tokenizer, [*data.train, *data.validation, *pool], data.catalogue, lengths
    )
    judgements = data.judgements if recipe.uses_teacher else {}
    human, counts = make_examples(data.train, texts, judgements)
    pseudo, pool_counts = make_examples(pool, texts, judgements)
    if not human:
        raise BadInput(f"training pairs: expected human-labelled ones, got {dict(counts)}")
    student = start_student(backbone, [*human, *pseudo], recipe)
    started = perf_counter()
    curve, best = _fit(student, human, pseudo, data.validation, texts, recipe)
    student.load_state_dict(best)
    card = _card(backbone, student, recipe, curve, pseudo, perf_counter() - started)
    checkpoint = Checkpoint(student.eval(), backbone.tokenizer, card)
    return checkpoint, curve, counts + pool_counts


def _pool(data: TrainingData, recipe: Recipe) -> Sequence[Pair]:
    if not recipe.uses_teacher:
        return ()
    return balanced_pool(data.pool, data.judgements, good_share=recipe.good_share, seed=recipe.seed)


def start_student(backbone: Backbone, examples: Sequence[Example], recipe: Recipe) -> ColBERT:
    """A student that starts as the pretrained encoder's own MaxSim.

    Eager attention without dropout: at these lengths a step is 1.4 times as fast on two cores as
    fused attention with dropout, and a student sees its data only a few times.
    """
    if recipe.dim > backbone.hidden:
        raise BadInput(
            f"recipe: expected at most the encoder's {backbone.hidden} dimensions, got {recipe.dim}"
        )
    backbone.encoder.set_attn_implementation("eager")
    student = ColBERT(backbone.encoder, hidden=backbone.hidden, dim=recipe.dim).eval()
    random = np.random.default_rng(recipe.seed)
    chosen = [examples[at] for at in random.permutation(len(examples))[:START_TEXTS]]
    student.start_projection(pad([example.item_text for example in chosen]))
    batch = make_batch(chosen[:START_PAIRS])
    with torch.inference_mode():
        start = _mean_maxsim_of(student, batch)
    student.start_bias(start)
    return student


def _check_validation(pairs: Sequence[Pair]) -> None:
    """The best state is chosen by a measure that one class alone leaves undefined."""
    labels = {bool(pair.good) for pair in pairs}
    if len(labels) < 2:
        raise BadInput(
            f"validation pairs: expected Good and Bad ones, got {len(pairs)} of one label"
        )


def _fit(
    student: ColBERT,
    human: Sequence[Example],
    pseudo: Sequence[Example],
    validation: Sequence[Pair],
    texts: TextTable,
    recipe: Recipe,
) -> tuple[tuple[Evaluation, ...], dict[str, torch.Tensor]]:
    optimiser = make_optimiser(student, recipe)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warm_linear(step, recipe))
    stream = batches(human, pseudo, recipe)
    looks = evaluation_steps(recipe)
    curve: list[Evaluation] = []
    best: dict[str, torch.Tensor] = {}
    with tqdm(total=recipe.steps, desc=f"training {recipe.name}", unit="step") as progress:
        for step in range(1, recipe.steps + 1):
            terms = train_step(student, next(stream), optimiser, recipe)
            schedule.step()
            progress.update()
            progress.set_postfix({name: f"{value:.3f}" for name, value in terms.items()})
            if step in looks:
                curve.append(_evaluate(student, validation, texts, step))
                if curve[-1] is max(curve, key=lambda look: look.neg_pr_auc):
                    best = {n: t.detach().clone() for n, t in student.state_dict().items()}
    return tuple(curve), best


def train_step(
    student: ColBERT, batch: Batch, optimiser: torch.optim.Optimizer, recipe: Recipe
) -> Mapping[str, float]:
    """One optimiser step; returns the loss terms. The student stays in eval mode: no dropout."""
    with mixed_precision():
        loss, terms = mkd_loss(student, batch, recipe)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
    optimiser.step()
    return terms


def make_optimiser(student: ColBERT, recipe: Recipe) -> torch.optim.Optimizer:
    """AdamW: the logit's slope and bias at their own rate and without decay (design §3, row 7)."""
    own = {id(student.raw_weight), id(student.bias)}
    rest = [p for p in student.parameters() if id(p) not in own]
    return torch.optim.AdamW(
        [
            {"params": rest, "lr": recipe.learning_rate, "weight_decay": recipe.weight_decay},
            {
                "params": [student.raw_weight, student.bias],
                "lr": recipe.calibration_rate,
                "weight_decay": 0.0,
            },
        ],
        fused=True,
    )


def warm_linear(step: int, recipe: Recipe) -> float:
    """The rate's factor at a step: a linear warm-up, then linear to zero at the end."""
    warmup = max(1, round(recipe.steps * recipe.warmup_share))
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (recipe.steps - step) / max(1, recipe.steps - warmup))


def evaluation_steps(recipe: Recipe) -> frozenset[int]:
    """The steps after which the student is looked at; the last one always."""
    spaced = np.linspace(0, recipe.steps, recipe.evaluations + 1)[1:]
    return frozenset(round(step) for step in spaced)


def _evaluate(
    student: ColBERT, validation: Sequence[Pair], texts: TextTable, step: int
) -> Evaluation:
    logits = score_pairs(student, validation, texts)
    scored = ~np.isnan(logits)
    good = np.array([bool(pair.good) for pair in validation])[scored]
    scores = sigmoid(logits[scored])
    return Evaluation(step, neg_pr_auc(good, scores), roc_auc(good, scores))


def _mean_maxsim_of(student: ColBERT, batch: Batch) -> torch.Tensor:
    cosines = batch_similarities(student, batch)
    return mean_maxsim(
        cosines, batch.queries.is_token[batch.query_rows], batch.items.is_token[batch.item_rows]
    )


def _card(
    backbone: Backbone,
    student: ColBERT,
    recipe: Recipe,
    curve: Sequence[Evaluation],
    pseudo: Sequence[Example],
    seconds: float,
) -> StudentCard:
    best = max(curve, key=lambda look: look.neg_pr_auc)
    return StudentCard(
        backbone=backbone.name,
        hidden=student.projection.in_features,
        dim=recipe.dim,
        query_tokens=recipe.query_tokens,
        item_tokens=recipe.item_tokens,
        item_text=recipe.item_text,
        recipe={key: value for key, value in asdict(recipe).items() if key != "item_text"},
        run={
            "best_step": best.step,
            "validation_neg_pr_auc": best.neg_pr_auc,
            "validation_roc_auc": best.roc_auc,
            "pseudo_pairs": float(len(pseudo)),
            "pseudo_good_share": sum(e.good for e in pseudo) / max(1, len(pseudo)),
            "seconds": seconds,
            "seconds_per_step": seconds / recipe.steps,
        },
    )
