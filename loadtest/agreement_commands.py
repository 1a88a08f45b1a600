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
    out: Path = typer.Option(Path("build/bench/agreement.json"), help="Where the JSON goes."),
) -> None:
    """Refresh, serve, score every judged pair over HTTP, and compare with `ellm evaluate`.

    Exits with 1 where anything differs by a bit.
    """
    import json
    import tempfile
    from dataclasses import asdict

    from loadtest import agreement
    from relevance.atomic import write_text

    def told(name: str, row: agreement.Agreement) -> agreement.Agreement:
        typer.echo(f"{name:<16}{row.what:<40}{row.compared:>8,}{row.different:>8,}")
        for example in row.examples:
            typer.echo(f"    {example}")
        return row

    found: dict[str, list[agreement.Agreement]] = {}
    typer.echo(f"{'data set':<16}{'who':<40}{'compared':>8}{'differ':>8}")
    for prefix in data:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            store = agreement.refreshed(bundle, prefix, folder)
            expected = agreement.evaluated(bundle, prefix, folder)
            with agreement.served(store, folder, workers=workers) as url:
                rows = [told(prefix.name, agreement.scores_agree(url, expected))]
                if clients:
                    python = agreement.client_environment(environment)
                    asked = agreement.questions(prefix, expected, limit=clients)
                    answers = agreement.clients_agree(python, url, asked)
                    rows += [told(prefix.name, row) for row in answers]
        found[prefix.name] = rows
    report = {name: [asdict(row) for row in rows] for name, rows in found.items()}
    write_text(out, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    if not all(row.is_whole for rows in found.values() for row in rows):
        raise typer.Exit(1)
