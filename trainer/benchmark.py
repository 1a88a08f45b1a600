"""What each loss adds to a training step, and the same step with sentence-transformers' model.

Ratios within one run: the contenders take turns, step by step, on the same pairs. The peer is
sentence-transformers' multi-vector encoder with its own distillation loss in a plain loop, without
what its trainer adds, and with the precision, lengths, encoder and pairs a step that ours has.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import islice
from time import perf_counter, process_time

import numpy as np
import torch

from relevance.domain import EvidenceSpan, Item, Judgement, Relevance, Side, Target
from relevance.errors import BadInput
from relevance.item_text import ItemText, item_text
from relevance.records import Pair
from relevance.text import normalise
from trainer.batches import make_batch
from trainer.examples import Example, TextLengths, make_examples, tokenise_texts
from trainer.material import start_student
from trainer.memory import keep_freed_memory
from trainer.optimiser import make_optimiser
from trainer.recipes import CotLoss, Recipe
from trainer.students.backbone import read_backbone
from trainer.students.precision import has_native_bfloat16, mixed_precision
from trainer.train import train_step

QUERIES, ITEMS = 16, 4  # a step: each query with so many items of its own
PEER = "sentence-transformers multi-vector"
BASE = Recipe("bench", lambda_score=1.0, lambda_label=0.5, query_tokens=16, item_tokens=32)
TAGGED = replace(BASE, student="bert", cot=CotLoss.TAGGING)
CONTENDERS: Mapping[str, Recipe] = {
    "colbert: label + score": BASE,
    "colbert: + attention regulation": replace(BASE, lambda_cot=0.3),
    "colbert: + aspect alignment": replace(BASE, lambda_cot=0.3, lambda_aligned=0.3),
    "colbert: + listwise": replace(BASE, lambda_listwise=0.5),
    "colbert: heads 96, 64, 32": replace(BASE, heads=(96, 64, 32)),
    "colbert: learned scorer": replace(BASE, student="lite"),
    "bert: label + score": TAGGED,
    "bert: + sequence tagging": replace(TAGGED, lambda_cot=0.1),
}


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds per pair of one contender's step, medians over rounds.

    `ratio` is of processor time, added up over threads, to that of `base` in the same round: what
    else the machine does meanwhile disturbs it less than it does the clock's `ms_per_pair`.
    """

    name: str
    pairs: int
    ms_per_pair: float
    cpu_ms_per_pair: float
    base: str
    ratio: float


Step = Callable[[], object]


def measure_training(
    pairs: Sequence[Pair],
    catalogue: Mapping[str, Item],
    *,
    backbone: str,
    rounds: int,
    contenders: Collection[str] = (*CONTENDERS, PEER),
) -> list[Timing]:
    """Time every contender's optimiser step on the same pairs, in turns.

    The peer takes part where its library is installed. Bases must be among the contenders.
    """
    keep_freed_memory()
    chosen = _chosen(pairs)
    examples = _examples(chosen, catalogue, backbone)
    steps: dict[str, Step] = {
        name: _our_step(recipe, examples, backbone)
        for name, recipe in CONTENDERS.items()
        if name in contenders
    }
    if PEER in contenders and find_spec("sentence_transformers"):
        steps[PEER] = _peer_step(chosen, catalogue, backbone)
    for step in steps.values():
        step()  # allocations, kernels
    times = {name: np.zeros((rounds, 2)) for name in steps}
    for at in range(rounds):
        for name, step in steps.items():
            started = perf_counter(), process_time()
            step()
            times[name][at] = perf_counter() - started[0], process_time() - started[1]
    return [_timing(name, times, len(chosen)) for name in steps]


def _timing(name: str, times: Mapping[str, np.ndarray], pairs: int) -> Timing:
    base = "bert: label + score" if name.startswith("bert") else "colbert: label + score"
    clock, processor = (1000 * float(t) / pairs for t in np.median(times[name], axis=0))
    ratio = float(np.median(times[name][:, 1] / times[base][:, 1]))
    return Timing(name, pairs, clock, processor, base, ratio)


def _chosen(pairs: Sequence[Pair]) -> list[Pair]:
    """The first queries with enough items, as many items of each."""
    by_query: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_query.setdefault(pair.query, []).append(pair)
    enough = (members[:ITEMS] for members in by_query.values() if len(members) >= ITEMS)
    chosen = list(islice(enough, QUERIES))
    if len(chosen) < QUERIES:
        raise BadInput(f"pairs: expected {QUERIES} queries with {ITEMS} items, got {len(chosen)}")
    return [pair for members in chosen for pair in members]


def _examples(pairs: Sequence[Pair], catalogue: Mapping[str, Item], backbone: str) -> list[Example]:
    """Made-up judgements with evidence in both texts: only their shape costs anything."""
    random = np.random.default_rng(0)
    judgements = {
        (pair.query, pair.item_id): _judgement(pair, catalogue, float(random.normal()))
        for pair in pairs
    }
    lengths = TextLengths(BASE.query_tokens, BASE.item_tokens, ItemText.TITLE)
    texts = tokenise_texts(read_backbone(backbone).tokenizer, pairs, catalogue, lengths)
    unlabelled = [replace(pair, good=None) for pair in pairs]
    return make_examples(unlabelled, texts, judgements)[0]


def _judgement(pair: Pair, catalogue: Mapping[str, Item], log_odds: float) -> Judgement:
    title = normalise(catalogue[pair.item_id].title)
    spans = (
        EvidenceSpan(Side.QUERY, 0, max(1, len(pair.query) // 2), Relevance.RELEVANT, "product"),
        EvidenceSpan(Side.TITLE, 0, max(1, len(title) // 3), Relevance.RELEVANT, "product"),
    )
    return Judgement(
        "bench", pair.query, pair.item_id, Target.DIRECT, log_odds, "0", None, None, spans
    )


def _our_step(recipe: Recipe, examples: Sequence[Example], backbone: str) -> Step:
    torch.manual_seed(0)
    student = start_student(read_backbone(backbone), examples, recipe)
    optimiser = make_optimiser(student, recipe)
    # collated in the step, as in training; tokenised before, as in training
    return lambda: train_step(student, [make_batch(examples)], optimiser, recipe)


def _peer_step(pairs: Sequence[Pair], catalogue: Mapping[str, Item], backbone: str) -> Step:
    """Their model, their loss, AdamW; tokenised before, and one document set per query."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.multi_vector_encoder.losses import MultiVectorDistillKLDivLoss

    from trainer.students.backbone import encoder_source

    model = MultiVectorEncoder(encoder_source(backbone), device="cpu")
    loss = MultiVectorDistillKLDivLoss(model)
    queries = list(dict.fromkeys(pair.query for pair in pairs))
    titles = [item_text(catalogue[pair.item_id], ItemText.TITLE) for pair in pairs]
    columns = [
        _features(model, queries, BASE.query_tokens),
        *(_features(model, titles[at::ITEMS], BASE.item_tokens) for at in range(ITEMS)),
    ]
    labels = torch.randn(len(queries), ITEMS)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    model.train()

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with mixed_precision(allowed=has_native_bfloat16()):
            value = loss([dict(column) for column in columns], labels)
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    return step


def _features(model: object, texts: Sequence[str], tokens: int) -> Mapping[str, torch.Tensor]:
    """Padded ids as the peer's own tokenizer makes them, cut to our lengths with specials."""
    found: Mapping[str, torch.Tensor] = model.tokenizer(  # type: ignore[attr-defined]  # untyped
        list(texts), padding=True, truncation=True, max_length=tokens + 2, return_tensors="pt"
    )
    return {name: found[name] for name in ("input_ids", "attention_mask")}
