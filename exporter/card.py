"""A bundle's card: its manifest as a page for people, in the terminal and as Markdown.

Nothing is measured here; what the manifest does not say is left out of the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from relevance.bundle import BundleManifest

Row = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table; `header` names its columns."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def card(manifest: BundleManifest) -> tuple[Section, ...]:
    """The card's sections in reading order, empty ones left out."""
    sections = (
        Section("What it is", ("field", "value"), tuple(_identity(manifest))),
        Section("Calibration", ("field", "value"), tuple(_calibration(manifest))),
        Section(
            "Thresholds",
            ("stated precision", "from probability", "precision reached", "recall of Good"),
            tuple(
                (
                    f"{t.precision:.0%}",
                    f"{t.probability:.4f}",
                    f"{t.reached:.1%}",
                    f"{t.recall:.1%}",
                )
                for t in manifest.thresholds
            ),
        ),
        Section("Measures on the calibration labels", *_numbers(manifest.metrics)),
        Section("Parity with the student", *_numbers(manifest.parity)),
        Section("Where it comes from", ("field", "value"), _texts(manifest)),
        Section(
            "Files",
            ("file", "bytes", "SHA-256"),
            tuple((n, f"{s.bytes:,}", s.sha256) for n, s in manifest.files.items()),
        ),
    )
    return tuple(section for section in sections if section.rows)


def as_markdown(manifest: BundleManifest) -> str:
    """The card as a Markdown page."""
    parts = [f"# Bundle {manifest.bundle_id}"]
    for section in card(manifest):
        parts.append(f"## {section.title}\n\n{_markdown_table(section)}")
    return "\n\n".join(parts) + "\n"


def as_text(manifest: BundleManifest) -> str:
    """The card in columns, for a terminal."""
    parts = [f"bundle {manifest.bundle_id}"]
    for section in card(manifest):
        lines = [section.header, *section.rows] if len(section.header) > 2 else [*section.rows]
        widths = [max(len(line[at]) for line in lines) for at in range(len(section.header))]
        aligned = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            for line in lines
        ]
        parts.append("\n".join([section.title, *(f"  {line.rstrip()}" for line in aligned)]))
    return "\n\n".join(parts) + "\n"


def _identity(manifest: BundleManifest) -> list[Row]:
    size = sum(file.bytes for file in manifest.files.values())
    pooled = f", {manifest.codec.pooling} tokens a row" if manifest.codec.pooling > 1 else ""
    skipped = ", punctuation left out" if manifest.codec.skip_punctuation else ""
    bits = f", {manifest.codec.bits} bits a value"
    rows = [
        ("format", manifest.format),
        ("student", manifest.student),
        ("precision of the encoder", manifest.precision.value),
        ("embeddings", f"{manifest.dim} dimensions"),
        ("item rows", f"{manifest.rows} × {manifest.row_bytes} bytes{bits}{pooled}{skipped}"),
        ("bytes an item", f"{manifest.rows * manifest.row_bytes:,}"),
        ("longest query", f"{manifest.max_query_tokens} tokens"),
        ("longest item text", f"{manifest.max_item_tokens} tokens of {manifest.item_text.value}"),
        ("size", f"{size / 1e6:.1f} MB"),
        ("licence", manifest.licence or "not stated"),
    ]
    if manifest.vocabulary:
        rows.append(("vocabulary", f"{manifest.vocabulary.pieces:,} pieces"))
    return rows


def _calibration(manifest: BundleManifest) -> list[Row]:
    fitted = {
        "human": "human labels of other queries",
        "teacher": "teacher-calibrated: no human label confirmed these probabilities",
    }[manifest.calibration]
    return [
        ("fitted on", fitted),
        ("logit", f"{manifest.logit_weight:.4f} · mean MaxSim {manifest.logit_bias:+.4f}"),
        ("Good from probability", f"{manifest.threshold:g}"),
        ("step of an item's byte", f"{manifest.item_scale:.6f}"),
    ]


def _numbers(values: Mapping[str, float]) -> tuple[tuple[str, ...], tuple[Row, ...]]:
    rows = tuple((name.replace("_", " "), f"{value:.6g}") for name, value in values.items())
    return ("measure", "value"), rows


def _texts(manifest: BundleManifest) -> tuple[Row, ...]:
    hashes = {f"checkpoint {name}": file.sha256 for name, file in manifest.checkpoint.items()}
    made = {f"version of {name}": value for name, value in manifest.versions.items()}
    told: Mapping[str, str] = {**manifest.source, **manifest.provenance, **hashes, **made}
    return tuple(told.items())


def _markdown_table(section: Section) -> str:
    lines: Sequence[Sequence[str]] = [section.header, ["---"] * len(section.header), *section.rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
