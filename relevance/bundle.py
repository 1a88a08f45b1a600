"""What a bundle folder contains and promises: the exporter writes it, the service loads it.

    manifest.json     this module's `BundleManifest`
    encoder.onnx      input_ids, attention_mask: int64 [batch, tokens] → token_embeddings float32
                      [batch, tokens, dim], unit length, special tokens still in place
    maxsim.onnx       query int8 [query_tokens, dim], arena uint8 [items, rows, dim],
                      positions int64 [candidates] → maxima int32 [candidates, query_tokens];
                      the logit is `relevance.late_interaction.logits` of these
    tokenizer.json    a Hugging Face fast tokenizer, adding its special tokens itself
    golden.npz        a query, an arena and the integer maxima NumPy finds: the start-up check

How graphs are made is the exporter's business, how they are run the service's.
"""

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relevance.atomic import write_text
from relevance.errors import BadBundle
from relevance.item_text import ItemText

FORMAT: Literal["relevance-bundle/1"] = "relevance-bundle/1"
MANIFEST = "manifest.json"
ENCODER, MAXSIM, TOKENIZER, GOLDEN = "encoder.onnx", "maxsim.onnx", "tokenizer.json", "golden.npz"
PARTS = (ENCODER, MAXSIM, TOKENIZER, GOLDEN)


class FileSeal(BaseModel):
    """A file's size and SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class BundleManifest(BaseModel):
    """Everything a bundle says about itself.

    Lengths count real tokens; special tokens come on top and never leave the encoder.
    No number is nan or infinite: JSON could not carry it.
    logit = logit_weight · mean over query tokens of the best cosine + logit_bias.
    `threshold` is the probability from which a pair is Good. `calibration` says on what weight and
    bias were fitted: human labels, or the teacher's judgements where there were none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["relevance-bundle/1"] = FORMAT
    bundle_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    student: Literal["colbert"] = "colbert"
    dim: int = Field(gt=0)
    max_query_tokens: int = Field(gt=0)
    max_item_tokens: int = Field(gt=0, le=255)
    item_text: ItemText
    item_scale: float = Field(gt=0)
    logit_weight: float = Field(gt=0)
    logit_bias: float
    threshold: float = Field(ge=0, le=1)
    calibration: Literal["human", "teacher"]
    files: dict[str, FileSeal]
    parity: dict[str, float]
    source: dict[str, str]


def bundle_id(manifest_without_id: dict[str, object]) -> str:
    """Sixteen hex digits of SHA-256 over all that decides a score: settings and file hashes."""
    decisive = {k: v for k, v in manifest_without_id.items() if k not in ("parity", "source")}
    canonical = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def seal(path: Path) -> FileSeal:
    """Size and hash of a file as it lies on disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileSeal(bytes=path.stat().st_size, sha256=digest)


def write_manifest(folder: Path, **settings: object) -> BundleManifest:
    """Seal the parts lying in `folder`, derive the bundle's id and write its manifest."""
    sealed = {name: seal(folder / name).model_dump() for name in PARTS}
    unnamed = BundleManifest.model_validate({**settings, "files": sealed, "bundle_id": "0" * 16})
    content = unnamed.model_dump(mode="json", exclude={"bundle_id"})
    manifest = unnamed.model_copy(update={"bundle_id": bundle_id(content)})
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def read_bundle(folder: Path) -> BundleManifest:
    """Read and verify a bundle: version, id and every file's size and hash.

    Raises `BadBundle` naming the file and what differs.
    """
    path = folder / MANIFEST
    try:
        manifest = BundleManifest.model_validate_json(path.read_bytes())
    except OSError as fault:
        raise BadBundle(f"{path}: expected a bundle's manifest: {fault.strerror}") from fault
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadBundle(f"{path}: `{where}`: {first['msg']}, got {first['input']!r:.80}") from fault
    for name in PARTS:
        _check_seal(folder / name, manifest.files.get(name))
    content = manifest.model_dump(mode="json", exclude={"bundle_id"})
    if bundle_id(content) != manifest.bundle_id:
        raise BadBundle(f"{path}: expected id {bundle_id(content)}, got {manifest.bundle_id}")
    return manifest


def _check_seal(path: Path, expected: FileSeal | None) -> None:
    if expected is None:
        raise BadBundle(f"{path}: the manifest does not mention this file")
    if not path.is_file():
        raise BadBundle(f"{path}: the manifest names this file, but it is absent")
    found = seal(path)
    if found != expected:
        raise BadBundle(
            f"{path}: expected {expected.bytes} bytes with SHA-256 {expected.sha256[:12]}…, "
            f"got {found.bytes} bytes with {found.sha256[:12]}…"
        )
