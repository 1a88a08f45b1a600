"""`ellm bench agreement`: does everything that scores a pair say the same, bit for bit?"""

from pathlib import Path

import typer


def agreement_command(
    bundle: Path = typer.Option(..., help="Folder the exporter wrote."),
    data: list[Path] = typer.Option(..., help="Data set, as a prefix; may be repeated."),
    workers: int = typer.Option(2, help="Server processes."),
    clients: int = typer.Option(
        0, min=0, help="Ask public rerank clients about so many queries of each data set."
    ),
    environment: Path = typer.Option(
        Path("build/public-clients"), help="Their environment; made from a package index."
    ),
    work: Path = typer.Option(
        Path("build/agreement"), help="What an unfinished run has done; removed when all agree."
    ),
    out: Path = typer.Option(Path("build/bench/agreement.json"), help="Where the JSON goes."),
) -> None:
    """Refresh, serve, score every judged pair over HTTP, and compare with `ellm evaluate`.

    Run again after an interruption, it goes on where it stopped. Exits with 1 where anything
    differs by a bit.
    """
    import json
    from dataclasses import asdict

    from tqdm import tqdm

    from loadtest.client_agreement import Drill
    from relevance.atomic import write_text

    drill = Drill(bundle, workers=workers, clients=clients, environment=environment, work=work)
    found, differ = dict[str, list[object]](), False
    typer.echo(f"{'data set':<16}{'who':<40}{'compared':>8}{'differ':>8}")
    for prefix in data:
        for row in drill.agreements(prefix):
            tqdm.write(f"{prefix.name:<16}{row.what:<40}{row.compared:>8,}{row.different:>8,}")
            for example in row.examples:
                tqdm.write(f"    {example}")
            found.setdefault(prefix.name, []).append(asdict(row))
            differ |= not row.is_whole
    write_text(out, json.dumps(found, indent=2, ensure_ascii=False) + "\n")
    if differ:
        raise typer.Exit(1)
