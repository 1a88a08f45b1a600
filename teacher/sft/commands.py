"""`ellm teach sft`: fine-tune a language model on selected chains of thought."""

from pathlib import Path

import typer

from teacher.online.llm.prompt import ItemFields, Language
from teacher.sft.recipe import DEFAULT_MODEL, Answers


def sft(
    annotations: Path = typer.Argument(help="Chains of thought, written by `ellm teach select`."),
    model: str = typer.Option(DEFAULT_MODEL, "--model", help="Hugging Face id, or a folder."),
    items: Path = typer.Option(..., "--items", help="Catalogue: Parquet, CSV or JSONL."),
    out: Path = typer.Option(..., "--out", help="Folder for the model; replaced if it exists."),
    answers: Answers = typer.Option(
        Answers.COT, "--mode", help="What to answer; direct: the judgement alone."
    ),
    language: Language = typer.Option(Language.ENGLISH, "--language", help="Of the prompt."),
    reads: ItemFields = typer.Option(ItemFields.SHORT, "--reads", help="Of an item."),
    readable: bool = typer.Option(
        False, "--readable", help="Leave out findings whose values the prompt does not show."
    ),
    steps: int = typer.Option(8000, "--steps", min=0, help="Optimiser steps; 0: none."),
    global_batch: int = typer.Option(256, "--global-batch", min=1, help="Examples of a step."),
    micro_batch: int = typer.Option(4, "--micro-batch", min=1, help="Examples at once, a process."),
    learning_rate: float = typer.Option(1e-5, "--learning-rate", help="The peak rate."),
    beta2: float = typer.Option(0.999, "--beta2", help="AdamW's; smaller ones suit short runs."),
    warmup: float = typer.Option(0.03, "--warmup", min=0, max=1, help="Share of the steps."),
    judgement_weight: float = typer.Option(
        1.0, "--judgement-weight", help="Factor on the judgement token's loss."
    ),
    verdict_weight: float = typer.Option(
        1.0, "--verdict-weight", help="Factor on the losses of match and mismatch."
    ),
    max_tokens: int = typer.Option(1024, "--max-tokens", min=1, help="Longer ones are left out."),
    lora_rank: int = typer.Option(0, "--lora-rank", min=0, help="LoRA's rank; 0: every weight."),
    weights: str = typer.Option("float32", "--weights", help="How weights are kept."),
    attention: str = typer.Option(
        "sdpa", "--attention", help="sdpa, flash_attention_2 (GPUs), eager (small models on CPUs)."
    ),
    bf16: bool = typer.Option(True, "--bf16/--float32", help="Matrix products in bfloat16."),
    checkpointing: bool = typer.Option(
        True, "--checkpointing/--no-checkpointing", help="Trade time for memory."
    ),
    from_config: bool = typer.Option(
        False, "--from-config", help="Start from random weights in the model's shape."
    ),
    unfinished: Path | None = typer.Option(
        None, "--unfinished", help="Where a stopped run is kept; OUT.unfinished by default."
    ),
    save_every: int = typer.Option(200, "--save-every", min=1, help="Steps between savings."),
    tensorboard: Path | None = typer.Option(None, "--tensorboard", help="Folder of a log."),
    seed: int = typer.Option(0, "--seed", help="Seed of everything random."),
) -> None:
    """Fine-tune a language model to write chains of thought; the paper's settings by default.

    Under torchrun or accelerate, all processes train one model. Give the same command again to go
    on where a stopped run was.
    """
    from relevance.records import read_catalogue
    from teacher.online.llm.prompt import Guidance, PromptStyle
    from teacher.sft.examples import read_examples
    from teacher.sft.fine_tune import Places, fine_tune
    from teacher.sft.recipe import SftRecipe

    recipe = SftRecipe(
        answers=answers,
        style=PromptStyle(language=language, guidance=Guidance.TUNED, reads=reads),
        readable=readable,
        steps=steps,
        global_batch=global_batch,
        micro_batch=micro_batch,
        learning_rate=learning_rate,
        beta2=beta2,
        warmup=warmup,
        judgement_weight=judgement_weight,
        verdict_weight=verdict_weight,
        max_tokens=max_tokens,
        lora_rank=lora_rank,
        weights=weights,
        attention=attention,
        bf16=bf16,
        checkpointing=checkpointing,
        seed=seed,
    )
    catalogue = {item.item_id: item for item in read_catalogue(items)}
    examples = read_examples(annotations, catalogue, recipe)
    kept = unfinished or out.with_name(f"{out.name}.unfinished")
    places = Places(out=out, unfinished=kept, tensorboard=tensorboard, save_every=save_every)
    done = fine_tune(model, examples, recipe, places, from_config=from_config)
    typer.echo(
        f"{done.examples:,} examples, {done.too_long:,} too long, {done.answer_tokens:,} answer "
        f"tokens, mean loss {done.loss:.3f}: {out}"
    )
