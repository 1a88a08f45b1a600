"""What a bundle folder contains and promises: the exporter writes it, the service loads it.

    manifest.json     this module's `BundleManifest`
    encoder.onnx      input_ids, attention_mask: int64 [batch, tokens] → token_embeddings float32
                      [batch, tokens, dim], unit length, special tokens still in place
    maxsim.onnx       query int8 [query_tokens, dim], arena uint8 [items, rows, row bytes],
                      positions int64 [candidates] → maxima int32 [candidates, query_tokens];
                      the logit is `relevance.late_interaction.logits` of these
    tokenizer.json    a Hugging Face fast tokenizer, adding its special tokens itself
    golden.npz        a query, an arena and the integer maxima NumPy finds: the start-up check

How graphs are made is the exporter's business, how they are run the service's; how the bytes of
an item's rows come about stands in `item_rows.py`. Nothing in a bundle is a pickle.

Compatibility: a manifest of an older version is read with its missing fields at their defaults; a
newer one is refused. An id is computed from the manifest as written, so it survives an upgrade.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from relevance.atomic import write_text
from relevance.errors import BadBundle
from relevance.item_rows import RowCodec
from relevance.item_text import ItemText

FORMAT: Literal["relevance-bundle/2"] = "relevance-bundle/2"
MANIFEST = "manifest.json"
ENCODER, MAXSIM, TOKENIZER, GOLDEN = "encoder.onnx", "maxsim.onnx", "tokenizer.json", "golden.npz"
PARTS = (ENCODER, MAXSIM, TOKENIZER, GOLDEN)
TOLD_ONLY = frozenset(
    {"parity", "source", "metrics", "versions", "licence", "provenance", "checkpoint"}
)


class Precision(StrEnum):
    """The arithmetic of the encoder's matrix products.

    FP32: float32 as trained. FP16: float16, for GPUs; normalising stays float32. INT8_DYNAMIC:
    8-bit weights, 8-bit activations with a range taken from each text. INT8_STATIC: the same with
    ranges fixed on calibration texts.
    """

    FP32 = "fp32"
    FP16 = "fp16"
    INT8_DYNAMIC = "int8_dynamic"
    INT8_STATIC = "int8_static"


class FileSeal(BaseModel):
    """A file's size and SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Vocabulary(BaseModel):
    """What tells one model's tokenizer from another's: how many pieces, and their hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pieces: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class StatedThreshold(BaseModel):
    """The least probability from which Good was right this often on the calibration labels.

    `precision` is the stated one, `reached` what the labels show, `recall` the share of Good pairs
    found; all in [0, 1].
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    precision: float = Field(gt=0, le=1)
    probability: float = Field(ge=0, le=1)
    reached: float = Field(ge=0, le=1)
    recall: float = Field(ge=0, le=1)


class BundleManifest(BaseModel):
    """Everything a bundle says about itself.

    Lengths count real tokens; special tokens come on top and never leave the encoder.
    No number is nan or infinite: JSON could not carry it.
    logit = logit_weight · mean over query tokens of the best cosine + logit_bias.
    `threshold` is the probability from which a pair is Good. `calibration` says on what weight and
    bias were fitted: human labels, or the teacher's judgements where there were none (such a
    bundle is *teacher-calibrated*: its probabilities were never compared with a human's).
    `metrics` were taken on the calibration labels, `parity` between torch, ONNX Runtime and NumPy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: Literal["relevance-bundle/1", "relevance-bundle/2"] = FORMAT
    bundle_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    student: Literal["colbert"] = "colbert"
    precision: Precision = Precision.FP32
    codec: RowCodec = RowCodec()
    dim: int = Field(gt=0)
    max_query_tokens: int = Field(gt=0)
    max_item_tokens: int = Field(gt=0, le=255)
    item_text: ItemText
    item_scale: float = Field(gt=0)
    logit_weight: float = Field(gt=0)
    logit_bias: float
    threshold: float = Field(ge=0, le=1)
    thresholds: tuple[StatedThreshold, ...] = ()
    calibration: Literal["human", "teacher"]
    vocabulary: Vocabulary | None = None
    files: dict[str, FileSeal]
    parity: dict[str, float]
    metrics: dict[str, float] = {}
    versions: dict[str, str] = {}
    licence: str = ""
    provenance: dict[str, str] = {}
    checkpoint: dict[str, FileSeal] = {}
    source: dict[str, str]

    @property
    def rows(self) -> int:
        """Rows an item takes in the arena."""
        return self.codec.rows(self.max_item_tokens)

    @property
    def row_bytes(self) -> int:
        """Bytes of one such row."""
        return self.codec.row_bytes(self.dim)


def bundle_id(manifest_without_id: Mapping[str, object]) -> str:
    """Sixteen hex digits of SHA-256 over all that decides a score: settings and file hashes."""
    decisive = {k: v for k, v in manifest_without_id.items() if k not in TOLD_ONLY}
    canonical = json.dumps(decisive, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def seal(path: Path) -> FileSeal:
    """Size and hash of a file as it lies on disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileSeal(bytes=path.stat().st_size, sha256=digest)


def vocabulary_of(tokenizer: Path) -> Vocabulary | None:
    """The vocabulary in a tokenizer.json; None where the file is none."""
    try:
        pieces = json.loads(tokenizer.read_bytes())["model"]["vocab"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    canonical = json.dumps(pieces, sort_keys=True, ensure_ascii=True)
    return Vocabulary(pieces=len(pieces), sha256=hashlib.sha256(canonical.encode()).hexdigest())


def write_manifest(folder: Path, **settings: object) -> BundleManifest:
    """Seal the parts lying in `folder`, derive the bundle's id and write its manifest."""
    sealed = {name: seal(folder / name).model_dump() for name in PARTS}
    unnamed = BundleManifest.model_validate(
        {
            **settings,
            "vocabulary": vocabulary_of(folder / TOKENIZER),
            "files": sealed,
            "bundle_id": "0" * 16,
        }
    )
    content = unnamed.model_dump(mode="json", exclude={"bundle_id"})
    manifest = unnamed.model_copy(update={"bundle_id": bundle_id(content)})
    write_text(folder / MANIFEST, manifest.model_dump_json(indent=2) + "\n")
    return manifest


def read_bundle(folder: Path) -> BundleManifest:
    """Read and verify a bundle: version, id and every file's size and hash.

    Raises `BadBundle` naming the file and what differs.
    """
    path = folder / MANIFEST
    content = _content(path)
    _check_version(path, content.get("format"))
    try:
        manifest = BundleManifest.model_validate_json(json.dumps(content))
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadBundle(f"{path}: `{where}`: {first['msg']}, got {first['input']!r:.80}") from fault
    for name in PARTS:
        _check_seal(folder / name, manifest)
    found = bundle_id({name: value for name, value in content.items() if name != "bundle_id"})
    if found != manifest.bundle_id:
        raise BadBundle(f"{path}: expected id {found}, got {manifest.bundle_id}")
    return manifest


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as fault:
        raise BadBundle(f"{path}: expected a bundle's manifest: {fault.strerror}") from fault
    except ValueError as fault:
        raise BadBundle(f"{path}: Invalid JSON: {fault}") from fault
    if not isinstance(content, dict):
        raise BadBundle(f"{path}: expected a JSON object, got {content!r:.80}")
    return content


def _check_version(path: Path, found: object) -> None:
    """A newer version has a message of its own: it is the reader that must change."""
    version = re.fullmatch(r"relevance-bundle/(\d{1,9})", str(found))
    if version and int(version[1]) > int(FORMAT.rpartition("/")[2]):
        raise BadBundle(
            f"{path}: `format`: {found} is newer than {FORMAT}, the newest this program reads\n"
            "hint: upgrade ellm-mkd here, or export again with this version"
        )


def _check_seal(path: Path, manifest: BundleManifest) -> None:
    expected = manifest.files.get(path.name)
    if expected is None:
        raise BadBundle(f"{path}: the manifest does not mention this file")
    if not path.is_file():
        raise BadBundle(f"{path}: the manifest names this file, but it is absent")
    found = seal(path)
    if found != expected:
        raise BadBundle(f"{path}: {_difference(path, manifest, expected, found)}")


def _difference(path: Path, manifest: BundleManifest, expected: FileSeal, found: FileSeal) -> str:
    """What happened to a file, as far as it shows."""
    vocabulary = vocabulary_of(path) if path.name == TOKENIZER else None
    if manifest.vocabulary and vocabulary and vocabulary != manifest.vocabulary:
        return (
            f"this is the tokenizer of another model: expected a vocabulary of "
            f"{manifest.vocabulary.pieces:,} pieces with SHA-256 "
            f"{manifest.vocabulary.sha256[:12]}…, got {vocabulary.pieces:,} with "
            f"{vocabulary.sha256[:12]}…"
        )
    if found.bytes != expected.bytes:
        what = "cut short" if found.bytes < expected.bytes else "longer than sealed"
        return f"{what}: expected {expected.bytes:,} bytes, got {found.bytes:,}"
    return (
        f"its content changed at the same size: expected {expected.bytes:,} bytes with SHA-256 "
        f"{expected.sha256[:12]}…, got {found.sha256[:12]}…"
    )
