"""TRL's trainer with the answer's loss in place of its own.

TRL's fused head scores every position where there is no Triton, and weighs all tokens alike; here
the vocabulary is projected onto the positions that hold answers, and some tokens may weigh more.
"""

from typing import Any

import torch
from torch import Tensor
from trl import SFTTrainer

from teacher.sft.loss import Emphasis, answer_loss, kept_positions, shifted


class AnswerTrainer(SFTTrainer):
    """Learns answers; takes a dataset of `input_ids` and `labels` that are cut already."""

    def __init__(self, *, emphasis: Emphasis, **trainer: Any) -> None:
        super().__init__(**trainer)
        self._emphasis = emphasis

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The answers' loss; its denominator is the whole step's where the trainer counted it."""
        labels = inputs["labels"]
        kept = kept_positions(labels)
        outputs = model(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            logits_to_keep=kept,
            use_cache=False,
        )
        asked = shifted(labels, kept)
        tokens = (asked >= 0).sum().clamp(min=1)
        counted = num_items_in_batch is not None
        loss = answer_loss(
            outputs.logits,
            asked,
            self._emphasis,
            tokens=num_items_in_batch if num_items_in_batch is not None else tokens,
        )
        if counted and self.args.average_tokens_across_devices:
            loss = loss * self.accelerator.num_processes  # gradients are averaged over them
        self._note_accuracy(outputs.logits, asked)
        return (loss, outputs) if return_outputs else loss

    @torch.no_grad()
    def _note_accuracy(self, logits: Tensor, asked: Tensor) -> None:
        """Share of answer tokens that are the likeliest ones, for the log."""
        told = asked >= 0
        right = (logits[told].argmax(-1) == asked[told]).float().mean()
        mode = "train" if self.model.training else "eval"
        self._metrics[mode]["mean_token_accuracy"].append(right.item())
