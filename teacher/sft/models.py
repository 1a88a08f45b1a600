"""Opens the model to fine-tune: a published one, or an untrained one of a configuration.

Any causal language model that transformers knows; a folder or a Hugging Face id.
"""

from typing import Any

from relevance.errors import BadInput
from teacher.sft.recipe import SftRecipe


def read_tokenizer(name: str) -> Any:
    """The model's tokenizer; raises `BadInput` where it has no chat template or no end of turn."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError) as fault:
        raise BadInput(f"{name}: expected a model's tokenizer: {fault}") from fault
    if tokenizer.chat_template is None or tokenizer.eos_token_id is None:
        raise BadInput(
            f"{name}: expected a tokenizer with a chat template and an end-of-turn token"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def read_model(name: str, recipe: SftRecipe) -> Any:
    """The published weights, kept as the recipe says."""
    from transformers import AutoModelForCausalLM

    try:
        return AutoModelForCausalLM.from_pretrained(
            name, dtype=recipe.weights, attn_implementation=recipe.attention
        )
    except (OSError, ValueError) as fault:
        raise BadInput(f"{name}: expected a causal language model: {fault}") from fault


def untrained_model(name: str, recipe: SftRecipe) -> Any:
    """Random weights, by the recipe's seed, in the shape of `name`'s configuration."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        config = AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as fault:
        raise BadInput(f"{name}: expected a model's configuration: {fault}") from fault
    torch.manual_seed(recipe.seed)
    return AutoModelForCausalLM.from_config(
        config, dtype=recipe.weights, attn_implementation=recipe.attention
    )


def adapter(recipe: SftRecipe) -> Any:
    """LoRA on every linear layer (Hu et al. 2021; QLoRA's choice of layers); None at rank 0."""
    if recipe.lora_rank == 0:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,
        lora_dropout=recipe.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
