"""A tiny random BERT, a toy shop, and what is built on them: factories, no oracles.

The shop sells things in colours; a pair is Good where the item is the thing that was asked for.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from relevance.domain import EvidenceSpan, Item, Judgement, Relevance, Side, Target
from relevance.evidence import Tag
from relevance.folds import assign_folds, write_folds
from relevance.item_text import ItemText
from relevance.records import Pair, write_pairs
from trainer.examples import Example
from trainer.students.backbone import Backbone, read_backbone
from trainer.students.build import StudentShape, build_student
from trainer.students.checkpoint import Checkpoint, StudentCard
from trainer.students.colbert import ColBERT, mean_maxsim, similarities
from trainer.students.student import Student, StudentKind
from trainer.students.texts import TokenisedText, pad, tokenise

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
COLORS = ("red", "blue", "green", "black", "white")
THINGS = ("bottle", "lamp", "shoe", "desk", "jacket", "chair")
SENTENCES = (
    *(f"{color} {thing}" for color in COLORS for thing in THINGS),
    "steel water bottle without straw, 24 oz",
    "abcdefghijklmnopqrstuvwxyz 0123456789",
)
TITLES = tuple(f"{color} {thing}" for thing in THINGS for color in COLORS)
TAG_OF_FACTOR = {0: Tag.O, 1: Tag.B_RELEVANT, -1: Tag.B_IRRELEVANT}  # every token a span of its own
CATALOGUE = {f"I{at}": Item(f"I{at}", title) for at, title in enumerate(TITLES)}


def make_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = WordPieceTrainer(
        vocab_size=200, special_tokens=list(SPECIALS), show_progress=False, min_frequency=1
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, SPECIALS.index(name)) for name in ("[CLS]", "[SEP]")],
    )
    return tokenizer


def write_backbone(folder: Path, *, hidden: int = 32, seed: int = 0) -> Path:
    """A Hugging Face folder with random weights."""
    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=2 * hidden,
        max_position_embeddings=64,
        initializer_range=0.1,  # enough for a token's company to matter
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    names = {f"{name.strip('[]').lower()}_token": name for name in SPECIALS}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    return folder


def make_student(backbone_folder: Path, *, dim: int = 16, seed: int = 0) -> ColBERT:
    """A student of its own, as trained as one with a random projection can be."""
    torch.manual_seed(seed)
    return ColBERT(read_backbone(str(backbone_folder)).encoder, hidden=32, dim=dim).eval()


def build_any(kind: StudentKind, backbone_folder: Path, *, seed: int = 0) -> Student:
    """A student of this kind, every part of it random enough to matter."""
    torch.manual_seed(seed)
    backbone = read_backbone(str(backbone_folder))
    backbone.encoder.set_attn_implementation("eager")
    heads = (8, 4) if kind is StudentKind.COLBERT else ()
    shape = StudentShape(kind, dim=16, query_tokens=8, item_tokens=12, heads=heads, codes=3)
    student = build_student(shape, backbone.encoder, backbone.tokenizer).eval()
    with torch.no_grad():
        for name, parameter in student.named_parameters():
            if "correct" in name:  # starts at zero
                parameter.normal_(std=0.3)
    return student


def make_checkpoint(backbone_folder: Path, *, dim: int = 16, item_tokens: int = 12) -> Checkpoint:
    """A student that starts from the backbone's own similarities, with its centred bias."""
    backbone = read_backbone(str(backbone_folder))
    student = ColBERT(backbone.encoder, hidden=backbone.hidden, dim=dim).eval()
    titles = pad(tokenise(backbone.tokenizer, TITLES, length=item_tokens))
    student.start_projection(titles)
    with torch.inference_mode():
        tokens = student.embed(titles)
    cosines = similarities(tokens, tokens.flip(0))
    student.start_bias(mean_maxsim(cosines, titles.is_token, titles.is_token.flip(0)))
    return Checkpoint(student, backbone.tokenizer, make_card(dim=dim, item_tokens=item_tokens))


def make_card(*, dim: int = 16, query_tokens: int = 8, item_tokens: int = 12) -> StudentCard:
    return StudentCard(
        backbone="tiny-bert",
        hidden=32,
        dim=dim,
        query_tokens=query_tokens,
        item_tokens=item_tokens,
        item_text=ItemText.TITLE,
        recipe={"name": "none", "steps": 0, "temperature": 2.0},
        run={"seconds": 0.5},
    )


def make_text(*ids: int) -> TokenisedText:
    """A text of these real tokens between the two specials, three characters a token."""
    return TokenisedText(
        ids=(2, *ids, 3),
        is_token=(False, *(True for _ in ids), False),
        offsets=tuple((4 * at, 4 * at + 3) for at in range(len(ids))),
        truncated=False,
    )


def make_example(
    query: Sequence[int] = (10, 11),
    item: Sequence[int] = (12, 13, 14),
    *,
    good: bool = True,
    human: bool = True,
    log_odds: float | None = None,
    query_factors: Sequence[int] | None = None,
    item_factors: Sequence[int] | None = None,
    cells: Sequence[tuple[int, int, int]] = (),
    name: str | None = None,
) -> Example:
    return Example(
        query=name or " ".join(map(str, query)),
        query_text=make_text(*query),
        item_text=make_text(*item),
        good=good,
        human=human,
        log_odds=log_odds,
        query_factors=tuple(query_factors or (0 for _ in query)),
        item_factors=tuple(item_factors or (0 for _ in item)),
        query_tags=tuple(TAG_OF_FACTOR[factor] for factor in query_factors or [0] * len(query)),
        item_tags=tuple(TAG_OF_FACTOR[factor] for factor in item_factors or [0] * len(item)),
        cells=tuple(cells),
    )


def random_examples(seed: int, count: int, *, vocabulary: int = 60) -> list[Example]:
    """Ragged pairs with labels, usable and unusable teacher scores, and uneven evidence."""
    random = np.random.default_rng(seed)
    examples = []
    for _ in range(count):
        query, item = (
            random.integers(5, vocabulary, random.integers(1, most)).tolist() for most in (5, 8)
        )
        cells = {
            (int(random.integers(len(query))), int(random.integers(len(item)))): sign
            for sign in random.choice([-1, 1], random.integers(0, 4)).tolist()
        }
        examples.append(
            make_example(
                query,
                item,
                good=bool(random.integers(2)),
                human=bool(random.integers(2)),
                log_odds=float(random.normal(0, 3)) if random.random() < 0.7 else None,
                query_factors=random.choice([-1, 0, 1], len(query)).tolist(),
                item_factors=random.choice([-1, 0, 0, 1], len(item)).tolist(),
                cells=[(*cell, sign) for cell, sign in sorted(cells.items())],
            )
        )
    return examples


def make_judgement(
    query: str,
    item_id: str,
    log_odds: float = 2.0,
    *,
    held_out_of: str | None = None,
    spans: Sequence[EvidenceSpan] = (),
) -> Judgement:
    return Judgement(
        judge="teacher:test",
        query=query,
        item_id=item_id,
        target=Target.DIRECT,
        log_odds=log_odds,
        fingerprint="0",
        held_out_of=held_out_of,
        spans=tuple(spans),
    )


def make_span(
    side: Side, start: int, end: int, relevance: Relevance = Relevance.RELEVANT
) -> EvidenceSpan:
    return EvidenceSpan(side, start, end, relevance, "product")


def shop_pairs(*, labelled: bool = True) -> list[Pair]:
    """Every query of the toy shop with every item: 900 pairs, a sixth of them Good."""
    return [
        Pair(
            query,
            item.item_id,
            query.split()[1] in item.title if labelled else None,
            ("short", "long")[at % 2],
        )
        for at, query in enumerate(TITLES)
        for item in CATALOGUE.values()
    ]


def write_shop(folder: Path, pairs: Sequence[Pair] | None = None) -> tuple[Path, Path]:
    """The toy shop's files; the prefix of the data set and the folds file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = ({"item_id": item.item_id, "title": item.title} for item in CATALOGUE.values())
    (folder / "shop_items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "shop_queries_unlabelled.jsonl").write_text('{"query": "steel water bottle"}\n')
    kept = shop_pairs() if pairs is None else pairs
    write_pairs(folder / "shop_pairs.parquet", kept)
    write_folds(folder / "folds.parquet", assign_folds(kept, folds=5))
    return folder / "shop", folder / "folds.parquet"


def tokens_of(backbone: Backbone, text: str) -> list[str]:
    """The pieces of a text, specials left out."""
    return list(backbone.tokenizer.encode(text, add_special_tokens=False).tokens)
