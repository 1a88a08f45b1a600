"""From data to what a training starts with: tokenised examples and a student.

What is done with them stands in `train.py`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from relevance.domain import Item, Judgement
from relevance.errors import BadInput
from relevance.records import Pair
from trainer.batches import make_batch
from trainer.example_files import ExampleFile
from trainer.examples import Example, TextLengths, TextTable, make_examples, tokenise_texts
from trainer.pool_balance import balanced_pool
from trainer.recipes import Recipe
from trainer.run_state import fingerprint_of
from trainer.students.backbone import Backbone
from trainer.students.bert import BERT
from trainer.students.build import StudentShape, build_student, student_kind
from trainer.students.colbert import ColBERT
from trainer.students.student import Student
from trainer.students.texts import pad

START_TEXTS = 1024  # texts a projection's axes are found on
START_PAIRS = 256  # pairs a bias is centred on


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Human-labelled pairs to learn from and to validate on, and a pool the teacher judged.

    A large pool comes packed in a file instead of as pairs and judgements.
    """

    train: Sequence[Pair]
    validation: Sequence[Pair]
    pool: Sequence[Pair]
    catalogue: Mapping[str, Item]
    judgements: Mapping[tuple[str, str], Judgement]
    packed_pool: ExampleFile | None = None


@dataclass(frozen=True, slots=True)
class Material:
    """Everything prepared: examples, the pool in memory or packed, and what is validated on."""

    human: Sequence[Example]
    pseudo: Sequence[Example]
    packed: ExampleFile | None
    validation: Sequence[Pair]
    texts: TextTable
    fingerprint: str


def prepare(
    data: TrainingData, recipe: Recipe, backbone: Backbone
) -> tuple[Material, Counter[str]]:
    """Tokenise and label everything once; also the counts of what was left out."""
    _check_validation(data.validation)
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
    packed = data.packed_pool if recipe.uses_teacher else None
    if packed is not None:
        packed = packed.tokenised_by(backbone.tokenizer, lengths)
    learned = ((e.query_text.ids, e.item_text.ids, e.good, e.log_odds) for e in (*human, *pseudo))
    fingerprint = fingerprint_of(
        recipe, backbone.name, [*learned, packed.fingerprint if packed else ""]
    )
    material = Material(human, pseudo, packed, data.validation, texts, fingerprint)
    return material, counts + pool_counts


def start_student(backbone: Backbone, examples: Sequence[Example], recipe: Recipe) -> Student:
    """A student that starts from what the pretrained encoder knows, in evaluation mode.

    Eager attention without dropout: at these lengths a step is 1.4 times as fast on two cores as
    fused attention with dropout, and a student sees its data only a few times.
    """
    if recipe.dim > backbone.hidden:
        raise BadInput(
            f"recipe: expected at most the encoder's {backbone.hidden} dimensions, got {recipe.dim}"
        )
    backbone.encoder.set_attn_implementation("eager")
    student = build_student(shape_of(recipe), backbone.encoder, backbone.tokenizer).eval()
    random = np.random.default_rng(recipe.seed)
    chosen = [examples[at] for at in random.permutation(len(examples))[:START_TEXTS]]
    batch = make_batch(chosen[:START_PAIRS])
    student.start(batch.texts, pad([example.item_text for example in chosen]))
    if isinstance(student, ColBERT):
        student.start_from_head(backbone.head, batch.texts)
    elif isinstance(student, BERT):
        student.start_from_head(backbone.head)
    return student


def shape_of(recipe: Recipe) -> StudentShape:
    """What the recipe's student is built from."""
    return StudentShape(
        student_kind(recipe.student),
        recipe.dim,
        recipe.query_tokens,
        recipe.item_tokens,
        recipe.heads,
        recipe.codes,
    )


def _check_validation(pairs: Sequence[Pair]) -> None:
    """The best state is chosen by a measure that one class alone leaves undefined."""
    labels = {bool(pair.good) for pair in pairs}
    if len(labels) < 2:
        raise BadInput(
            f"validation pairs: expected Good and Bad ones, got {len(pairs)} of one label"
        )


def _pool(data: TrainingData, recipe: Recipe) -> Sequence[Pair]:
    if not recipe.uses_teacher:
        return ()
    return balanced_pool(data.pool, data.judgements, good_share=recipe.good_share, seed=recipe.seed)
