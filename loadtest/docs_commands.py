"""`ellm bench docs`: measured tables and plots into docs/performance.md."""

from pathlib import Path

import typer


def docs_command(
    measured: Path = typer.Option(Path("build/bench"), help="Folder of the measurements."),
    page: Path = typer.Option(Path("docs/performance.md"), help="Page with marks."),
    plots: Path = typer.Option(Path("docs/plots"), help="Folder of the page's plots."),
) -> None:
    """Put what was measured last into the documentation, machine, date and command with it.

    Plots are drawn again from the points that were measured.
    """
    from loadtest.docs_page import renew
    from loadtest.redrawn import redraw

    redraw(measured)
    parts, stayed = renew(page, measured, plots)
    typer.echo(f"renewed: {', '.join(parts) or 'nothing'}")
    if stayed:
        typer.echo(f"not measured, left as they were: {', '.join(stayed)}")
