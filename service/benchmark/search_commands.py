"""`ellm bench search`: what candidates find of a real catalogue's best, and what it costs."""

from pathlib import Path

import typer


def search_command(
    store: Path = typer.Option(..., "--store", help="A store with the catalogue."),
    queries: Path = typer.Option(..., help="Table with a column `query`."),
    spans: str = typer.Option("32,4,2,1", help="Spans to compare, by comma."),
    most: int = typer.Option(200, min=1, help="Queries at most."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON and the table."),
) -> None:
    """Measure the candidates' recall@100 against exhaustive MaxSim, and both searches' times."""
    import json
    from dataclasses import asdict

    from relevance.bundle import read_bundle
    from relevance.generation import StorePaths, read_current
    from relevance.late_interaction import quantise_query
    from relevance.records import read_queries
    from service.benchmark.search_bench import measure_recall, measure_sizes
    from service.encoder import OnnxTokenEncoder
    from service.scorer import open_scorer
    from service.store.generation_reader import open_generation

    paths = StorePaths(store)
    current = read_current(paths)
    folder = paths.bundle(current.bundle)
    bundle = read_bundle(folder)
    generation = open_generation(paths.generation(current.generation), bundle)
    encoder, (scorer, _) = OnnxTokenEncoder.read(folder, bundle), open_scorer(folder, bundle)
    limit = bundle.max_query_tokens
    encoded = [encoder.encode(q, limit=limit).vectors for q in read_queries(queries)[:most]]
    asked = [quantise_query(vectors) for vectors in encoded if len(vectors)]
    chosen = [int(span) for span in spans.split(",")]
    recalls = list(measure_recall(generation, asked, scorer, spans=chosen, say=_say))
    sizes = list(measure_sizes(generation, asked, scorer))
    lines = [
        f"{len(asked)} queries, {generation.manifest.items:,} items, bundle {bundle.bundle_id}",
        "",
        "| span | vectors | index | MB | depth | recall@100 | least | find ms | MaxSim ms |",
        "| ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {r.span} | {r.vectors:,} | {r.index} | {r.megabytes:.0f} | {r.depth:,} "
            f"| {r.recall:.3f} | {r.least:.2f} | {r.find_ms:.2f} | {r.score_ms:.2f} |"
            for r in recalls
        ),
        "",
        "| items | exhaustive ms | candidates ms |",
        "| ---: | ---: | ---: |",
        *(f"| {s.items:,} | {s.exhaustive_ms:.2f} | {s.candidates_ms:.2f} |" for s in sizes),
    ]
    out.mkdir(parents=True, exist_ok=True)
    figures = {"recall": [asdict(r) for r in recalls], "sizes": [asdict(s) for s in sizes]}
    (out / "search.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "search.txt").write_text("\n".join(lines) + "\n")
    typer.echo("\n".join(lines))


def _say(line: str) -> None:
    typer.echo(f"… {line}", err=True)
