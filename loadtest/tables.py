"""Tables in Markdown, and measured things as JSON files that say where they come from."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.machine import Machine
from relevance.atomic import write_text
from relevance.errors import BadInput


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, columns padded so that it reads in a terminal too; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(header, *lines, strict=True)]
    right = [all(_is_number(line[at]) for line in lines) and at > 0 for at in range(len(header))]
    rule = [("-" * (w - 1) + ":") if r else "-" * w for w, r in zip(widths, right, strict=True)]
    rows = [_padded(header, widths, right), rule, *(_padded(line, widths, right) for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def write_measured(
    folder: Path, name: str, *, machine: Machine, command: str, page: str, **measured: Any
) -> None:
    """`name`.json with everything and `name`.md to read, both naming machine and command."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"command": command, "machine": asdict(machine), **measured}
    write_text(folder / f"{name}.json", json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    write_text(folder / f"{name}.md", f"{page}\n\n`{command}`; {machine}\n")


def read_measured(path: Path) -> dict[str, Any]:
    """What `write_measured` wrote; raises `BadInput` where it is not there or is something else."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        raise BadInput(f"{path}: expected measured figures: {fault}") from fault
    if not isinstance(told, Mapping) or "machine" not in told:
        raise BadInput(f"{path}: expected measured figures with the machine they come from")
    return dict(told)


def _padded(row: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> list[str]:
    return [
        text.rjust(width) if to_right else text.ljust(width)
        for text, width, to_right in zip(row, widths, right, strict=True)
    ]


def _is_number(text: str) -> bool:
    return text[:1].isdigit() or text[:1] in "–-+"
