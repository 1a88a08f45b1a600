"""Self-supervised adaptation: an encoder gets used to a shop's texts before it sees a label.

Late interaction on the encoder's own token vectors, contrasted in the batch: a few of a text's
words are to find the text they were taken from. There is no projection and no slope; a student
brings its own. What comes out is a plain Hugging Face encoder, which `read_backbone` takes. One
process: negatives are a step's own texts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict
from tokenizers import Tokenizer
from torch.nn import functional
from tqdm import tqdm
from transformers import AutoTokenizer, PreTrainedModel

from relevance.atomic import creating_folder
from relevance.errors import BadInput
from trainer.losses.contrastive import in_batch_contrast
from trainer.memory import keep_freed_memory
from trainer.optimiser import encoder_optimiser, set_rate, warm_linear
from trainer.own_words import (
    OwnWords,
    UnlabelledTexts,
    WholeText,
    own_words_steps,
    read_wholes,
)
from trainer.recipes import Adaptation
from trainer.run_state import RunState, fingerprint_of, read_state, write_state
from trainer.students.backbone import DEFAULT_BACKBONE, encoder_source, read_backbone
from trainer.students.devices import device_of, moved
from trainer.students.precision import mixed_precision, seed_everything
from trainer.students.texts import TextBatch, pad, tokenise
from trainer.train import Surroundings

CARD = "adaptation.json"
STEPS_PER_STATE = 50  # how often an unfinished run is written down
LAST_STEPS = 20  # whose mean loss the card tells


class AdaptationCard(BaseModel):
    """What made an adapted encoder; `run` has counts of texts, seconds a step and the last loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["relevance-adaptation/1"] = "relevance-adaptation/1"
    backbone: str
    adaptation: dict[str, str | int | float]
    run: dict[str, float]


@dataclass(frozen=True, slots=True)
class Adapted:
    """An adapted encoder and what made it."""

    encoder: PreTrainedModel
    card: AdaptationCard


def adapt_encoder(
    texts: UnlabelledTexts,
    adaptation: Adaptation,
    *,
    backbone_name: str = DEFAULT_BACKBONE,
    surroundings: Surroundings | None = None,
) -> Adapted:
    """Adapt an encoder to these texts: the same bits for the same seed, texts and machine.

    Where the surroundings name a state file, an interrupted run goes on from it. Evaluation mode
    throughout, as students are trained: no dropout.
    """
    around = surroundings or Surroundings()
    keep_freed_memory()
    seed_everything(adaptation.seed)
    backbone = read_backbone(backbone_name)
    backbone.encoder.set_attn_implementation("eager")
    encoder, tokenizer = backbone.encoder.eval().to(around.world.device), backbone.tokenizer
    kinds = [
        read_wholes(tokenizer, kind, length=adaptation.item_tokens)
        for kind in (texts.queries, texts.items)
    ]
    learned = (whole.text.ids for kind in kinds for whole in kind)
    fingerprint = fingerprint_of(adaptation, backbone_name, learned)
    run = _contrasted(encoder, tokenizer, kinds, adaptation, fingerprint, around)
    if around.state is not None:
        around.state.unlink(missing_ok=True)
    card = AdaptationCard(backbone=backbone_name, adaptation=asdict(adaptation), run=run)
    return Adapted(encoder.cpu(), card)


def _contrasted(
    encoder: PreTrainedModel,
    tokenizer: Tokenizer,
    kinds: Sequence[Sequence[WholeText]],
    adaptation: Adaptation,
    fingerprint: str,
    around: Surroundings,
) -> dict[str, float]:
    """The loop; changes the encoder and returns what the card tells of the run."""
    optimiser = encoder_optimiser(
        encoder, rate=adaptation.learning_rate, decay=adaptation.weight_decay
    )
    first = _resumed(encoder, optimiser, fingerprint, around)
    kept = range(STEPS_PER_STATE, adaptation.steps, STEPS_PER_STATE)  # never the last step
    stream = islice(own_words_steps(kinds, adaptation), first, None)
    shown = tqdm(range(first, adaptation.steps), desc="adapting", unit="step",
                 initial=first, total=adaptation.steps)  # fmt: skip
    losses, started = list[float](), perf_counter()
    for step in shown:
        set_rate(optimiser, warm_linear(step, adaptation))
        losses.append(adaptation_step(encoder, tokenizer, next(stream), optimiser, adaptation))
        shown.set_postfix({"loss": f"{losses[-1]:.3f}"})
        around.journal.note(step + 1, {"adapt/contrast": losses[-1]})
        if around.state is not None and step + 1 in kept:
            _keep(around.state, fingerprint, step + 1, encoder, optimiser)
    queries, items = (float(len(kind)) for kind in kinds)
    return {
        "queries": queries,
        "items": items,
        "seconds_per_step": (perf_counter() - started) / len(losses),
        "last_loss": sum(losses[-LAST_STEPS:]) / len(losses[-LAST_STEPS:]),
    }


def adaptation_step(
    encoder: PreTrainedModel,
    tokenizer: Tokenizer,
    drawn: Sequence[OwnWords],
    optimiser: torch.optim.Optimizer,
    adaptation: Adaptation,
) -> float:
    """One optimiser step over some texts; returns the mean loss."""
    device = device_of(encoder)
    parts = tokenise(tokenizer, [own.words for own in drawn], length=adaptation.query_tokens)
    parts_batch, wholes_batch = (
        moved(pad(side), device) for side in (parts, [own.whole for own in drawn])
    )
    optimiser.zero_grad(set_to_none=True)
    with mixed_precision(device):
        similarities = all_mean_maxsims(
            _token_vectors(encoder, parts_batch),
            _token_vectors(encoder, wholes_batch),
            parts_batch.is_token,
            wholes_batch.is_token,
        )
        loss = in_batch_contrast(similarities, temperature=adaptation.temperature).mean()
    loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    torch.nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
    optimiser.step()
    return float(loss.detach())


def all_mean_maxsims(
    queries: torch.Tensor,
    items: torch.Tensor,
    query_is_token: torch.Tensor,
    item_is_token: torch.Tensor,
) -> torch.Tensor:
    """MeanMaxSim of every query with every item, in float32: (queries, items).

    (queries, query_tokens, dim), (items, item_tokens, dim) and their marks; as
    `students.colbert.mean_maxsim`, to which a test holds it, without a copy for each pair.
    """
    cosines = torch.einsum("qad,ibd->qiab", queries, items)
    best = cosines.masked_fill(~item_is_token[None, :, None, :], -torch.inf).amax(dim=3).float()
    best = best.masked_fill(~query_is_token[:, None, :], 0.0)  # (queries, items, query_tokens)
    return best.sum(dim=2) / query_is_token.sum(dim=1)[:, None]


def write_adapted(folder: Path, adapted: Adapted) -> None:
    """Write a Hugging Face folder, whole or not at all; the tokenizer is the backbone's."""
    source = encoder_source(adapted.card.backbone)
    with creating_folder(folder) as temporary:
        adapted.encoder.save_pretrained(temporary)
        AutoTokenizer.from_pretrained(source, use_fast=True).save_pretrained(temporary)
        (temporary / CARD).write_text(adapted.card.model_dump_json(indent=2) + "\n")


def read_adaptation_card(folder: Path) -> AdaptationCard:
    """What made the encoder in `folder`; raises `BadInput` where it is no adapted one."""
    try:
        return AdaptationCard.model_validate_json((folder / CARD).read_bytes())
    except (OSError, ValueError) as fault:
        raise BadInput(f"{folder}: expected an adapted encoder: {fault}") from fault


def _token_vectors(encoder: PreTrainedModel, batch: TextBatch) -> torch.Tensor:
    """The last layer's vectors at unit length, specials and padding included, in float32."""
    hidden = encoder(input_ids=batch.ids, attention_mask=batch.attention).last_hidden_state
    return functional.normalize(hidden.float(), dim=-1)


def _resumed(
    encoder: PreTrainedModel,
    optimiser: torch.optim.Optimizer,
    fingerprint: str,
    around: Surroundings,
) -> int:
    """The step to begin with, the interrupted run's weights and optimiser put back."""
    found = read_state(around.state, fingerprint=fingerprint) if around.state else None
    if found is None:
        return 0
    encoder.load_state_dict(found.student)
    optimiser.load_state_dict(dict(found.optimiser))
    return found.step


def _keep(
    path: Path,
    fingerprint: str,
    step: int,
    encoder: PreTrainedModel,
    optimiser: torch.optim.Optimizer,
) -> None:
    weights: Mapping[str, torch.Tensor] = encoder.state_dict()
    write_state(path, RunState(fingerprint, step, weights, optimiser.state_dict(), (), {}, ()))
