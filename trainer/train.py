"""The training loop, readable top to bottom: any student, one recipe, one folder.

What is learned from stands in `material.py` and `batches.py`, the objective in `losses/`, who
trains together in `world.py`, how a run goes on after an interruption in `run_state.py`.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from tqdm import tqdm

from relevance.late_interaction import sigmoid
from relevance.metrics import neg_pr_auc, roc_auc
from relevance.records import Pair
from trainer.batches import Batch, make_batch, split_step, step_examples
from trainer.example_files import ready_examples
from trainer.examples import Example, TextTable
from trainer.journal import Journal, Silence
from trainer.losses.mkd import mkd_loss
from trainer.material import Material, TrainingData, prepare, shape_of, start_student
from trainer.memory import keep_freed_memory
from trainer.optimiser import make_optimiser, set_rate, warm_linear
from trainer.recipes import Precision, Recipe
from trainer.run_state import RunState, Weights, read_state, write_state
from trainer.scoring import score_pairs
from trainer.students.backbone import DEFAULT_BACKBONE, Backbone, read_backbone
from trainer.students.checkpoint import Checkpoint, StudentCard
from trainer.students.devices import device_of, moved
from trainer.students.precision import mixed_precision, seed_everything
from trainer.students.student import Student
from trainer.totals import count_totals
from trainer.world import World


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a training runs in: processes, a journal, and where its unfinished state is kept."""

    world: World = field(default_factory=World)
    journal: Journal = field(default_factory=Silence)
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One look at the inner validation part."""

    step: int
    neg_pr_auc: float
    roc_auc: float


def train_student(
    data: TrainingData,
    recipe: Recipe,
    *,
    backbone_name: str = DEFAULT_BACKBONE,
    surroundings: Surroundings | None = None,
) -> tuple[Checkpoint[Student], tuple[Evaluation, ...], Counter[str]]:
    """Train a student and return its best state by Neg PR-AUC on the validation part.

    Also returns the validation curve and the counts of what `make_examples` left out. Where the
    surroundings name a state file, it is written at every look, read at the start, and removed at
    the end.
    """
    around = surroundings or Surroundings()
    keep_freed_memory()
    seed_everything(recipe.seed)
    backbone = read_backbone(backbone_name, layers=recipe.layers)
    material, counts = prepare(data, recipe, backbone)
    student = start_student(backbone, [*material.human, *material.pseudo], recipe)
    student.to(around.world.device)
    around.world.agree(student)
    started = perf_counter()
    run = _fit(student, material, recipe, around)
    student.load_state_dict(run.best)
    card = _card(backbone, recipe, run, material, perf_counter() - started)
    return Checkpoint(student.cpu().eval(), backbone.tokenizer, card), tuple(run.curve), counts


def _fit(student: Student, material: Material, recipe: Recipe, around: Surroundings) -> "_Run":
    optimiser = make_optimiser(student, recipe)
    run = _resumed(student, optimiser, material, recipe, around)
    looks = evaluation_steps(recipe)
    stream = step_parts(material, recipe, around.world, skip=run.step)
    shown = tqdm(
        total=recipe.steps,
        initial=run.step,
        desc=f"training {recipe.name}",
        unit="step",
        disable=not around.world.first,
    )
    with shown as progress:
        while run.step < recipe.steps and not run.patience_is_over(recipe):
            set_rate(optimiser, warm_linear(run.step, recipe))
            parts, began = next(stream), perf_counter()
            terms = train_step(student, parts, optimiser, recipe, world=around.world)
            run.count(parts, perf_counter() - began)
            progress.update()
            progress.set_postfix({name: f"{value:.3f}" for name, value in terms.items()})
            around.journal.note(run.step, {f"train/{name}": v for name, v in terms.items()})
            if run.step in looks:
                _look(student, optimiser, run, material, around)
    _try_average(student, run, material)
    if around.state is not None and around.world.first:
        around.state.unlink(missing_ok=True)
    return run


@dataclass(slots=True)
class _Run:
    """How far a training is: the only thing here that changes."""

    step: int = 0
    curve: list[Evaluation] = field(default_factory=list)
    best: Weights = field(default_factory=dict)
    last: deque[Weights] = field(default_factory=deque)
    pairs: int = 0  # learned from by this process since it began, and how long that took
    seconds: float = 0.0

    def count(self, parts: Sequence[Batch], seconds: float) -> None:
        """One step more."""
        self.step += 1
        self.pairs += sum(len(batch.good) for batch in parts)
        self.seconds += seconds

    def patience_is_over(self, recipe: Recipe) -> bool:
        """Whether the last `patience` looks brought nothing better."""
        if not recipe.patience or not self.curve:
            return False
        best = max(self.curve, key=lambda look: look.neg_pr_auc)
        return len(self.curve) - 1 - self.curve.index(best) >= recipe.patience


def _resumed(
    student: Student,
    optimiser: torch.optim.Optimizer,
    material: Material,
    recipe: Recipe,
    around: Surroundings,
) -> _Run:
    """A new run, or the interrupted one with its weights and optimiser put back."""
    last: deque[Weights] = deque(maxlen=recipe.averaged)
    found = read_state(around.state, fingerprint=material.fingerprint) if around.state else None
    if found is None:
        return _Run(last=last)
    student.load_state_dict(found.student)
    optimiser.load_state_dict(dict(found.optimiser))
    last.extend(found.last)
    return _Run(found.step, [Evaluation(*row) for row in found.curve], found.best, last)


def _look(
    student: Student,
    optimiser: torch.optim.Optimizer,
    run: _Run,
    material: Material,
    around: Surroundings,
) -> None:
    """Validate, keep the best and the last states, and write down how far the run is."""
    found = _evaluate(student, material.validation, material.texts, run.step)
    run.curve.append(found)
    weights = {name: t.detach().clone() for name, t in student.state_dict().items()}
    if found is max(run.curve, key=lambda look: look.neg_pr_auc):
        run.best = weights
    run.last.append(weights)
    around.journal.note(
        run.step,
        {"validation/neg_pr_auc": found.neg_pr_auc, "validation/roc_auc": found.roc_auc},
    )
    if around.state is not None and around.world.first:
        rows = tuple((look.step, look.neg_pr_auc, look.roc_auc) for look in run.curve)
        state = RunState(
            material.fingerprint,
            run.step,
            weights,
            optimiser.state_dict(),
            rows,
            run.best,
            tuple(run.last),
        )
        write_state(around.state, state)


def _try_average(student: Student, run: _Run, material: Material) -> None:
    """Let the mean of the last looks' states compete with the best single one.

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima" (UAI 2018).
    """
    if len(run.last) < 2:
        return
    mean = {
        name: torch.stack([state[name].float() for state in run.last]).mean(dim=0).to(tensor.dtype)
        for name, tensor in run.last[-1].items()
    }
    student.load_state_dict(mean)
    found = _evaluate(student, material.validation, material.texts, run.step)
    run.curve.append(found)
    if found is max(run.curve, key=lambda look: look.neg_pr_auc):
        run.best = mean


def step_parts(
    material: Material, recipe: Recipe, world: World, *, skip: int = 0
) -> Iterator[list[Batch]]:
    """This process's batches of every step after the first `skip`.

    All processes draw the same steps; each collates (and tokenises) its own parts alone.
    """
    packed = material.packed
    blocks = packed.blocks(recipe.seed + 1) if packed else None
    steps = step_examples(material.human, material.pseudo, recipe, packed_blocks=blocks)
    for step in islice(steps, skip, None):
        parts = split_step(step, most_pairs=recipe.micro_pairs, parts=world.size)
        own = [part for part in parts[world.rank :: world.size] if part]
        ready = [ready_examples(part, packed) for part in own]
        totals = world.total(count_totals([example for part in ready for example in part]))
        yield [make_batch(part, human_share=recipe.human_share, totals=totals) for part in ready]


def train_step(
    student: Student,
    parts: Sequence[Batch],
    optimiser: torch.optim.Optimizer,
    recipe: Recipe,
    *,
    world: World | None = None,
) -> Mapping[str, float]:
    """One optimiser step over a step's parts; returns the loss terms of this process's parts.

    The student stays in evaluation mode: no dropout.
    """
    device, terms = device_of(student), Counter[str]()
    optimiser.zero_grad(set_to_none=True)
    for batch in parts:
        with mixed_precision(device, allowed=recipe.precision is Precision.AUTO):
            loss, found = mkd_loss(student, moved(batch, device), recipe)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        for name, value in found.items():
            terms[name] += value  # type: ignore[assignment]  # a Counter of sums
    if world is not None:
        world.sum_gradients(student)
    torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
    optimiser.step()
    return terms


def evaluation_steps(recipe: Recipe) -> frozenset[int]:
    """The steps after which the student is looked at; the last one always."""
    spaced = np.linspace(0, recipe.steps, recipe.evaluations + 1)[1:]
    return frozenset(round(step) for step in spaced)


def _evaluate(
    student: Student, validation: Sequence[Pair], texts: TextTable, step: int
) -> Evaluation:
    logits = score_pairs(student, validation, texts)
    scored = ~np.isnan(logits)
    good = np.array([bool(pair.good) for pair in validation])[scored]
    scores = sigmoid(logits[scored])
    return Evaluation(step, neg_pr_auc(good, scores), roc_auc(good, scores))


def _card(
    backbone: Backbone,
    recipe: Recipe,
    run: _Run,
    material: Material,
    seconds: float,
) -> StudentCard:
    best = max(run.curve, key=lambda look: look.neg_pr_auc)
    shape = shape_of(recipe)
    return StudentCard(
        student=shape.kind,
        backbone=backbone.name,
        hidden=backbone.hidden,
        dim=recipe.dim,
        query_tokens=recipe.query_tokens,
        item_tokens=recipe.item_tokens,
        item_text=recipe.item_text,
        heads=shape.heads,
        codes=shape.codes,
        recipe=_plain(recipe),
        run={
            "best_step": best.step,
            "validation_neg_pr_auc": best.neg_pr_auc,
            "validation_roc_auc": best.roc_auc,
            "pseudo_pairs": float(len(material.pseudo)),
            "pseudo_good_share": _good_share(material.pseudo),
            "seconds": seconds,
            "seconds_per_step": seconds / run.step,
            "training_ms_per_1000_pairs": 1e6 * run.seconds / max(1, run.pairs),
        },
    )


def _good_share(examples: Sequence[Example]) -> float:
    return sum(example.good for example in examples) / max(1, len(examples))


def _plain(recipe: Recipe) -> dict[str, str | int | float]:
    """The recipe's settings as JSON's plain values; what the card says elsewhere is left out."""
    found: dict[str, str | int | float] = {}
    for name, value in asdict(recipe).items():
        if name not in ("item_text", "heads", "codes"):
            found[name] = ",".join(map(str, value)) if isinstance(value, tuple) else value
    return found
