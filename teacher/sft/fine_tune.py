"""One fine-tuning run: examples in, a model's folder out; a stopped run goes on.

Several processes (torchrun, accelerate) train one model together; the first one writes it.
"""

import hashlib
import json
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relevance.atomic import creating_folder, write_text
from relevance.errors import BadInput
from teacher.sft.examples import Example
from teacher.sft.models import adapter, read_model, read_tokenizer, untrained_model
from teacher.sft.recipe import SftRecipe
from teacher.sft.tokens import TokenisedExample, judgement_tokens, tokenised, verdict_tokens

ABOUT = "sft.json"  # beside the weights: recipe, prompt, base model, examples
FORMAT = "fine-tuned-judge/1"
_RUN = "run.json"  # in the unfinished run's folder: what it is a run of


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a run reads and writes; `unfinished` holds what a stopped run goes on from."""

    out: Path
    unfinished: Path
    tensorboard: Path | None = None
    save_every: int = 200


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of a run: examples learnt from and left out as too long, and the mean loss."""

    examples: int
    too_long: int
    answer_tokens: int
    loss: float


def fine_tune(
    name: str,
    examples: Sequence[Example],
    recipe: SftRecipe,
    places: Places,
    *,
    from_config: bool = False,
    callbacks: Iterable[Any] = (),
) -> Fitted:
    """Fine-tune `name` on the examples and write the model to `places.out`.

    Raises `BadInput` where the model's labels are not single tokens, nothing fits the limit of
    tokens, or `places.unfinished` holds another run.
    """
    from datasets import Dataset

    tokenizer = read_tokenizer(name)
    emphasis = _emphasis(tokenizer, recipe)
    cut, too_long = _fitting(examples, tokenizer, recipe.max_tokens)
    about = _about(name, cut, recipe, from_config=from_config)
    goes_on = _claim(places.unfinished, about)
    trainer = _trainer(
        model=(untrained_model if from_config else read_model)(name, recipe),
        dataset=Dataset.from_dict(
            {"input_ids": [one.input_ids for one in cut], "labels": [one.labels for one in cut]}
        ),
        recipe=recipe,
        places=places,
        tokenizer=tokenizer,
        emphasis=emphasis,
    )
    for callback in callbacks:
        trainer.add_callback(callback)
    loss = _trained(trainer, recipe, goes_on=goes_on)
    answer_tokens = sum(label >= 0 for one in cut for label in one.labels)
    if trainer.is_world_process_zero():
        judgement = emphasis.judgement
        told = {**about, "judgement_tokens": [judgement.good, judgement.bad]}
        _write(trainer, tokenizer, places, told)
    trainer.accelerator.wait_for_everyone()
    return Fitted(len(cut), too_long, answer_tokens, loss)


def _emphasis(tokenizer: Any, recipe: SftRecipe) -> Any:
    from teacher.sft.loss import Emphasis  # with torch

    return Emphasis(
        judgement=judgement_tokens(tokenizer, recipe.style),
        judgement_weight=recipe.judgement_weight,
        verdicts=verdict_tokens(tokenizer, recipe.style) if recipe.verdict_weight != 1 else None,
        verdict_weight=recipe.verdict_weight,
    )


def _trained(trainer: Any, recipe: SftRecipe, *, goes_on: bool) -> float:
    """The mean loss; no steps leave the model as it is, to compare with."""
    if not recipe.steps:
        return math.nan
    return float(trainer.train(resume_from_checkpoint=goes_on).training_loss)


def _fitting(
    examples: Sequence[Example], tokenizer: Any, most: int
) -> tuple[tuple[TokenisedExample, ...], int]:
    """Those within the limit, and how many are not: a cut answer would teach to stop early."""
    cut = tuple(tokenised(example, tokenizer) for example in examples)
    fitting = tuple(one for one in cut if len(one.input_ids) <= most)
    if not fitting:
        raise BadInput(
            f"examples: expected at most {most} tokens, got none under "
            f"{min(len(one.input_ids) for one in cut)}"
        )
    return fitting, len(cut) - len(fitting)


def _trainer(
    *, model: Any, dataset: Any, recipe: SftRecipe, places: Places, tokenizer: Any, emphasis: Any
) -> Any:
    from trl import SFTConfig

    from teacher.sft.answer_trainer import AnswerTrainer

    if places.tensorboard is not None:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(places.tensorboard)  # its one way to be told
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    arguments = SFTConfig(
        output_dir=str(places.unfinished),
        max_steps=recipe.steps,
        per_device_train_batch_size=recipe.micro_batch,
        gradient_accumulation_steps=recipe.accumulation(processes),
        learning_rate=recipe.learning_rate,
        adam_beta1=recipe.beta1,
        adam_beta2=recipe.beta2,
        weight_decay=recipe.weight_decay,
        warmup_steps=int(recipe.warmup * recipe.steps),
        lr_scheduler_type="linear",
        max_grad_norm=recipe.clip,
        bf16=recipe.bf16,
        activation_checkpointing=recipe.checkpointing,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        train_sampling_strategy="group_by_length",
        seed=recipe.seed,
        save_steps=places.save_every,
        save_total_limit=2,
        report_to=["tensorboard"] if places.tensorboard is not None else [],
        use_cpu=not _has_accelerator(),
        dataloader_pin_memory=_has_accelerator(),
    )
    return AnswerTrainer(
        model=model,
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=adapter(recipe),
        emphasis=emphasis,
    )


def _has_accelerator() -> bool:
    import torch

    return torch.accelerator.is_available()


def _write(trainer: Any, tokenizer: Any, places: Places, about: dict[str, Any]) -> None:
    """The whole model (adapters merged into it, so that any engine serves it), then clean up."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    with creating_folder(places.out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        write_text(folder / ABOUT, json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(places.unfinished, ignore_errors=True)


def _about(
    name: str, examples: Sequence[TokenisedExample], recipe: SftRecipe, *, from_config: bool
) -> dict[str, Any]:
    tokens = hashlib.sha256(json.dumps([[e.input_ids, e.labels] for e in examples]).encode())
    return {
        "format": FORMAT,
        "base": name,
        "from_config": from_config,
        "recipe": recipe.content(),
        "prompt": recipe.style.fingerprint,
        "examples": len(examples),
        "tokens": tokens.hexdigest()[:16],
    }


def _claim(unfinished: Path, about: dict[str, Any]) -> bool:
    """Whether a stopped run of just this goes on; refused where it is a run of something else."""
    found = unfinished / _RUN
    if found.exists() and json.loads(found.read_text(encoding="utf-8")) != about:
        raise BadInput(
            f"{unfinished}: expected a stopped run of this very model, recipe and examples, "
            "found another's\nhint: remove the folder or choose another with --unfinished"
        )
    write_text(found, json.dumps(about))
    return any(unfinished.glob("checkpoint-*"))
