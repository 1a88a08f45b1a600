"""Plots drawn again from what was measured, so that all of a page's are in today's style.

Capacity's is not among them: its search is not kept whole.
"""

from pathlib import Path

from loadtest.scaling import JOURNAL, Journal
from loadtest.scaling_page import write_pictures
from loadtest.soak_page import NAME as SOAK
from loadtest.soak_page import draw_soak, read_samples


def redraw(measured: Path) -> None:
    """Draw the plots of a folder of measurements, and of the folders in it, where they lie."""
    for journal in (measured / JOURNAL, *measured.glob(f"*/{JOURNAL}")):
        write_pictures(journal.parent, Journal(journal).points())
    if (measured / f"{SOAK}.json").exists():
        draw_soak(measured, read_samples(measured))
