"""A folder of graphs of a Sentence-BERT or a BERT: written whole after a gate, sealed, readable.

    manifest.json   `GraphManifest`        tokenizer.json   the fast tokenizer
    *.onnx          `student_graphs.py`

The gate: the graphs' logits against torch's on real pairs and on the parity grid's odd texts,
within 1e-4. Nothing is written where they differ.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from tokenizers import Tokenizer

from exporter.bundle_scoring import Lengths, open_session
from exporter.parity_grid import grid_texts
from exporter.provenance import provenance, versions
from exporter.student_graphs import CROSS_ENCODER, ENCODER, GRAPHS, SCORER, write_student_graphs
from relevance.atomic import creating_folder, write_text
from relevance.bundle import MANIFEST, TOKENIZER, FileSeal, seal
from relevance.errors import BadBundle, GateRefused
from relevance.item_text import ItemText
from relevance.text import normalise
from trainer.students.checkpoint import Checkpoint
from trainer.students.student import PairTexts, Student, StudentKind
from trainer.students.texts import pad, tokenise

FARTHEST = 1e-4  # a logit, graph against torch
AT_A_TIME = 64  # pairs torch scores at once
GRID_STEP = 7  # every so manieth pair of odd texts: all of them are thousands

TextPair = tuple[str, str]
PairScorer = Callable[[Sequence[TextPair]], np.ndarray]


class GraphManifest(BaseModel):
    """What the graphs are and read; `logit_max_difference` is the gate's."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["relevance-graphs/1"] = "relevance-graphs/1"
    student: StudentKind
    query_tokens: int
    item_tokens: int
    item_text: ItemText
    logit_max_difference: float
    pairs_compared: int
    files: dict[str, FileSeal]
    licence: str = ""
    versions: dict[str, str] = {}
    provenance: dict[str, str] = {}


def export_graphs(
    checkpoint: Checkpoint[Student], pairs: Sequence[TextPair], out: Path, *, licence: str = ""
) -> GraphManifest:
    """Write the student's graphs to `out`; `pairs` are real queries and item texts.

    Raises `BadInput` for a student without graphs here, `GateRefused` where they differ.
    """
    card = checkpoint.card
    lengths = Lengths(card.query_tokens, card.item_tokens)
    texts = [t for t in grid_texts(checkpoint.tokenizer, lengths) if t]
    odd = list(product(texts, texts))[::GRID_STEP]
    compared = [*((normalise(query), item) for query, item in pairs), *odd]
    with creating_folder(out) as folder:
        names = write_student_graphs(folder, checkpoint.student)
        checkpoint.tokenizer.save(str(folder / TOKENIZER))
        gap = _difference(checkpoint, pair_scorer(folder, card.student, lengths), compared)
        manifest = GraphManifest(
            student=card.student,
            query_tokens=card.query_tokens,
            item_tokens=card.item_tokens,
            item_text=card.item_text,
            logit_max_difference=gap,
            pairs_compared=len(compared),
            files={name: seal(folder / name) for name in (*names, TOKENIZER)},
            licence=licence,
            versions=versions(),
            provenance=provenance(card),
        )
        write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def read_graphs(folder: Path) -> tuple[GraphManifest, PairScorer]:
    """A sealed folder and what scores (query, item text) pairs with it; raises `BadBundle`."""
    path = folder / MANIFEST
    try:
        manifest = GraphManifest.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise BadBundle(f"{path}: expected a manifest of graphs: {fault.strerror}") from fault
    except ValidationError as fault:
        first = fault.errors()[0]
        raise BadBundle(f"{path}: `{'.'.join(map(str, first['loc']))}`: {first['msg']}") from fault
    for name in (*GRAPHS[manifest.student], TOKENIZER):
        if not (folder / name).is_file():
            raise BadBundle(f"{folder / name}: the manifest names this file, but it is absent")
        if seal(folder / name) != manifest.files.get(name):
            raise BadBundle(f"{folder / name}: its content is not what was sealed")
    lengths = Lengths(manifest.query_tokens, manifest.item_tokens)
    return manifest, pair_scorer(folder, manifest.student, lengths)


def pair_scorer(folder: Path, student: StudentKind, lengths: Lengths) -> PairScorer:
    """Logits of (query, item text) pairs by the graphs in `folder`; NaN where a side is empty."""
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    of_pair = _SCORERS[student](folder, tokenizer, lengths)

    def score(pairs: Sequence[TextPair]) -> np.ndarray:
        return np.array([of_pair(query, item) for query, item in pairs], dtype=np.float64)

    return score


def _cross_encoder(
    folder: Path, tokenizer: Tokenizer, lengths: Lengths
) -> Callable[[str, str], float]:
    session = open_session(folder / CROSS_ENCODER)

    def score(query: str, item: str) -> float:
        asked = tokenizer.encode(normalise(query), add_special_tokens=False)
        offered = tokenizer.encode(normalise(item), add_special_tokens=False)
        asked.truncate(lengths.query)
        offered.truncate(lengths.item)
        if not asked.ids or not offered.ids:
            return float("nan")
        joint = tokenizer.post_process(asked, offered)
        feed = {
            "input_ids": np.array([joint.ids], np.int64),
            "attention_mask": np.ones((1, len(joint.ids)), np.int64),
            "token_type_ids": np.array([joint.type_ids], np.int64),
        }
        return float(session.run(["logit"], feed)[0][0])

    return score


def _two_vectors(
    folder: Path, tokenizer: Tokenizer, lengths: Lengths
) -> Callable[[str, str], float]:
    encoder, scorer = open_session(folder / ENCODER), open_session(folder / SCORER)
    specials = tokenizer.num_special_tokens_to_add(is_pair=False)

    def vector(text: str, length: int) -> np.ndarray | None:
        tokenizer.enable_truncation(length + specials)
        encoding = tokenizer.encode(normalise(text))
        if all(encoding.special_tokens_mask):
            return None
        ids = np.array([encoding.ids], np.int64)
        found: np.ndarray = encoder.run(
            ["vector"], {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        )[0]
        return found

    def score(query: str, item: str) -> float:
        sides = vector(query, lengths.query), vector(item, lengths.item)
        if sides[0] is None or sides[1] is None:
            return float("nan")
        return float(scorer.run(["logits"], {"query": sides[0], "items": sides[1]})[0][0, 0])

    return score


_SCORERS: Mapping[StudentKind, Callable[[Path, Tokenizer, Lengths], Callable[[str, str], float]]]
_SCORERS = {StudentKind.BERT: _cross_encoder, StudentKind.SENTENCE_BERT: _two_vectors}


def _difference(
    checkpoint: Checkpoint[Student], score: PairScorer, pairs: Sequence[TextPair]
) -> float:
    """The largest gap between torch and the graphs; raises `GateRefused` beyond `FARTHEST`."""
    found, expected = score(pairs), _torch_logits(checkpoint, pairs)
    gaps = np.abs(found - expected)
    gaps[np.isnan(found) & np.isnan(expected)] = 0.0
    worst = int(np.argmax(np.where(np.isnan(gaps), np.inf, gaps)))
    if not gaps[worst] <= FARTHEST:
        query, item = pairs[worst]
        raise GateRefused(
            f"no graphs: expected logits within {FARTHEST} of torch's, got {found[worst]:.6f} for "
            f"{expected[worst]:.6f}: query {query!r:.80}, item {item!r:.80}"
        )
    return float(gaps[worst])


@torch.inference_mode()
def _torch_logits(checkpoint: Checkpoint[Student], pairs: Sequence[TextPair]) -> np.ndarray:
    """The student's own logits, in float32 throughout: evaluation would autocast."""
    card, tokenizer = checkpoint.card, checkpoint.tokenizer
    sides = [
        tokenise(tokenizer, texts, length=length)
        for texts, length in zip(
            zip(*pairs, strict=True), (card.query_tokens, card.item_tokens), strict=True
        )
    ]
    found = np.full(len(pairs), np.nan)
    usable = [at for at in range(len(pairs)) if all(side[at].offsets for side in sides)]
    for start in range(0, len(usable), AT_A_TIME):
        chosen = usable[start : start + AT_A_TIME]
        rows = torch.arange(len(chosen))
        queries, items = (pad([side[at] for at in chosen]) for side in sides)
        judged = checkpoint.student.judge(PairTexts(queries, items, rows, rows), evidence=False)
        found[chosen] = judged.logits.numpy()
    return found
