"""Where a bundle comes from: versions of what made it, hashes of the checkpoint, its own story."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from relevance.bundle import FileSeal, seal
from trainer.students.checkpoint import StudentCard

DISTRIBUTIONS = (
    "ellm-mkd",
    "numpy",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "tokenizers",
    "torch",
    "transformers",
)


def versions() -> dict[str, str]:
    """The versions of Python and of each distribution that takes part in an export."""
    found = {"python": platform.python_version()}
    for name in DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def checkpoint_seals(folder: Path) -> dict[str, FileSeal]:
    """Size and hash of every file of a checkpoint's folder."""
    return {path.name: seal(path) for path in sorted(folder.iterdir()) if path.is_file()}


def provenance(card: StudentCard) -> dict[str, str]:
    """What trained the student, as texts: its backbone, its recipe and how the run went."""
    told = {f"recipe {name}": str(value) for name, value in card.recipe.items()}
    ran = {f"run {name}": f"{value:g}" for name, value in card.run.items()}
    return {"backbone": card.backbone, **told, **ran}
