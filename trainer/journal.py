"""Where a training's figures go while it runs: TensorBoard, or nowhere.

A door with two sides: what the loop tells, and a TensorBoard log of it. Progress bars are tqdm's.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol


class Journal(Protocol):
    """Takes the figures of a step: a term's name under `train/` or `validation/`, its value."""

    def note(self, step: int, figures: Mapping[str, float]) -> None:
        """Write them down."""
        ...


class Silence:
    """Takes figures and forgets them."""

    def note(self, step: int, figures: Mapping[str, float]) -> None:
        """Nothing."""


class Notebook:
    """Keeps the figures in memory: the fake that tests read."""

    def __init__(self) -> None:
        self.pages: list[tuple[int, dict[str, float]]] = []

    def note(self, step: int, figures: Mapping[str, float]) -> None:
        """Remember them."""
        self.pages.append((step, dict(figures)))


@contextmanager
def tensorboard(folder: Path | None) -> Iterator[Journal]:
    """A TensorBoard log in `folder`; silence where there is none. Closed at the end."""
    if folder is None:
        yield Silence()
        return
    from torch.utils.tensorboard import SummaryWriter  # heavy, and only wanted here

    writer = SummaryWriter(log_dir=str(folder))
    try:
        yield _TensorBoard(writer.add_scalar)
    finally:
        writer.close()


class _AddScalar(Protocol):
    def __call__(self, tag: str, scalar_value: float, global_step: int) -> None: ...


class _TensorBoard:
    def __init__(self, add_scalar: _AddScalar) -> None:
        self._add_scalar = add_scalar

    def note(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._add_scalar(name, value, step)
