"""ColBERT and BERT students in sentence-transformers' layout (version 6), written and read.

A ColBERT becomes a `MultiVectorEncoder` whose `meanmaxsim` is our MeanMaxSim, a BERT a
`CrossEncoder`. The files are written here, so that the library need not be installed; a test loads
them with it. Such folders come back in as a backbone (`read_backbone`): encoder and head are what
a new student starts from. Slope and bias of a ColBERT's logit stand in `logit.json`, which
sentence-transformers passes over. Texts are to be normalised before they are encoded.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from safetensors.torch import save_file
from tokenizers import Tokenizer

from relevance.atomic import creating_folder
from relevance.errors import BadInput
from trainer.students.bert import BERT
from trainer.students.checkpoint import Checkpoint
from trainer.students.colbert import ColBERT
from trainer.students.student import Student, StudentKind

LOGIT = "logit.json"
_TRANSFORMER = "sentence_transformers.base.modules.transformer.Transformer"
_DENSE = "sentence_transformers.base.modules.dense.Dense"
_MASK = "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"
_NORMALIZE = "sentence_transformers.base.modules.normalize.Normalize"
_TOKENS = "token_embeddings"


def write_sentence_transformers(folder: Path, checkpoint: Checkpoint[Student]) -> None:
    """Write a ColBERT or BERT so that sentence-transformers loads it, whole or not at all."""
    student = checkpoint.student
    with creating_folder(folder) as temporary:
        if isinstance(student, BERT):
            _write_cross_encoder(temporary, student)
        elif isinstance(student, ColBERT) and checkpoint.card.student is StudentKind.COLBERT:
            _write_multi_vector(temporary, student, checkpoint)
        else:
            raise BadInput(
                "sentence-transformers: expected a colbert or bert student, "
                f"got {checkpoint.card.student}"
            )
        _write_tokenizer(temporary, checkpoint)


def special_tokens(tokenizer: Tokenizer) -> tuple[str, ...]:
    """The tokens this tokenizer puts around a text."""
    return tuple(dict.fromkeys(tokenizer.encode("").tokens))


def _write_multi_vector(folder: Path, student: ColBERT, checkpoint: Checkpoint[Student]) -> None:
    card = checkpoint.card
    student.encoder.save_pretrained(folder)
    specials = special_tokens(checkpoint.tokenizer)
    around = len(checkpoint.tokenizer.encode("").ids)
    parts = [
        ("", _TRANSFORMER),
        ("1_Dense", _DENSE),
        ("2_Mask", _MASK),
        ("3_Normalize", _NORMALIZE),
    ]
    _write_modules(folder, parts)
    _write_json(
        folder / "sentence_bert_config.json",
        {
            "transformer_task": "feature-extraction",
            "modality_config": {
                "text": {"method": "forward", "method_output_name": "last_hidden_state"}
            },
            "module_output_name": _TOKENS,
            "query_length": card.query_tokens + around,
            "document_length": card.item_tokens + around,
        },
    )
    _write_json(
        folder / "config_sentence_transformers.json",
        {
            "model_type": "MultiVectorEncoder",
            "prompts": {"query": "", "document": ""},
            "default_prompt_name": None,
            "similarity_fn_name": "meanmaxsim",
        },
    )
    out, hidden = student.projection.weight.shape
    _write_json(
        folder / "1_Dense" / "config.json",
        {
            "in_features": hidden,
            "out_features": out,
            "bias": False,
            "activation_function": "torch.nn.modules.linear.Identity",
            "module_input_name": _TOKENS,
            "module_output_name": _TOKENS,
        },
    )
    weight = student.projection.weight.detach().contiguous()
    save_file({"linear.weight": weight}, folder / "1_Dense" / "model.safetensors")
    _write_json(
        folder / "2_Mask" / "config.json",
        {
            "skiplist_words": specials,
            "skiplist_tasks": ["query", "document"],
            "keep_only_token_ids": None,
        },
    )
    _write_json(
        folder / "3_Normalize" / "config.json",
        {"module_input_name": _TOKENS, "module_output_name": _TOKENS},
    )
    logit = {"weight": float(student.weight.detach()), "bias": float(student.bias.detach())}
    _write_json(folder / LOGIT, logit)


def _write_cross_encoder(folder: Path, student: BERT) -> None:
    student.body.save_pretrained(folder)
    _write_modules(folder, [("", _TRANSFORMER)])
    _write_json(
        folder / "sentence_bert_config.json",
        {
            "transformer_task": "sequence-classification",
            "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
            "module_output_name": "scores",
        },
    )
    _write_json(
        folder / "config_sentence_transformers.json",
        {
            "model_type": "CrossEncoder",
            "prompts": {},
            "default_prompt_name": None,
            "activation_fn": "torch.nn.modules.activation.Sigmoid",
        },
    )


def _write_tokenizer(folder: Path, checkpoint: Checkpoint[Student]) -> None:
    tokenizer, config = checkpoint.tokenizer, checkpoint.student.encoder_config
    tokenizer.save(str(folder / "tokenizer.json"))
    around = tokenizer.encode("").tokens
    pad = tokenizer.id_to_token(config.pad_token_id) if config.pad_token_id is not None else None
    named = {
        "cls_token": around[0] if around else None,
        "sep_token": around[-1] if around else None,
        "pad_token": pad or (around[-1] if around else None),
        "unk_token": getattr(tokenizer.model, "unk_token", None),
    }
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": int(config.max_position_embeddings),
            "model_input_names": _input_names(checkpoint.student),
            **{name: token for name, token in named.items() if token is not None},
        },
    )


def _input_names(student: Student) -> list[str]:
    """What the tokenizer is to return; without segments a joined pair would read as one text."""
    segmented = isinstance(student, BERT) and student.segmented
    return ["input_ids", *(["token_type_ids"] if segmented else []), "attention_mask"]


def _write_modules(folder: Path, modules: Sequence[tuple[str, str]]) -> None:
    listed = [
        {"idx": at, "name": str(at), "path": path, "type": kind}
        for at, (path, kind) in enumerate(modules)
    ]
    _write_json(folder / "modules.json", listed)


def _write_json(path: Path, content: Mapping[str, object] | Sequence[object]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n")
