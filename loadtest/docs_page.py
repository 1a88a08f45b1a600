"""Puts measured tables and plots into a page of documentation, between marks that stand in it.

    <!-- measured: peers -->
    …what stood there before goes…
    <!-- end -->

The table `peers.md` of the folder of measurements takes the place between the marks, machine,
date and command with it. A part that was not measured stays as it is.
"""

import re
import shutil
from pathlib import Path

from relevance.atomic import write_text
from relevance.errors import BadInput

_PART = re.compile(r"(<!-- measured: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def renewed(page: str, measured: Path) -> tuple[str, list[str], list[str]]:
    """The page with what was measured; the parts that were renewed, and those that stayed."""
    renewed_parts: list[str] = []
    stayed: list[str] = []

    def replaced(found: re.Match[str]) -> str:
        head, name, before, end = found.groups()
        table = _find(measured, f"{name}.md")
        if table is None:
            stayed.append(name)
            return f"{head}{before}{end}"
        renewed_parts.append(name)
        return f"{head}\n{table.read_text(encoding='utf-8').strip()}\n\n{end}"

    return _PART.sub(replaced, page), renewed_parts, stayed


def renew(page: Path, measured: Path, plots: Path) -> tuple[list[str], list[str]]:
    """Renew a page in place and copy the plots it shows; `BadInput` where it has no marks."""
    text, parts, stayed = renewed(page.read_text(encoding="utf-8"), measured)
    if not parts and not stayed:
        marks = "`<!-- measured: name -->` and `<!-- end -->`"
        raise BadInput(f"{page}: expected a part between {marks}")
    plots.mkdir(parents=True, exist_ok=True)
    for name in re.findall(rf"\({plots.name}/([\w-]+\.svg)\)", text):
        plot = _find(measured, name)
        if plot is not None:
            shutil.copyfile(plot, plots / name)
    write_text(page, text)
    return parts, stayed


def _find(folder: Path, name: str) -> Path | None:
    """A file of this name, in the folder or one below."""
    return next(iter(sorted([*folder.glob(name), *folder.glob(f"*/{name}")])), None)
