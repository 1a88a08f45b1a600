"""`ellm bench redis`: bulk load beside redis-benchmark, and the lag of watched changes."""

from pathlib import Path

import typer


def bench_command(
    items: int = typer.Option(100_000, min=1000, help="Made-up items; 4 KB each."),
    store: Path | None = typer.Option(
        None, "--store", help="Also measure the lag of changes; a copy of it is changed."
    ),
    changes: int = typer.Option(200, min=1, help="Changes told, one after the other."),
    rate: float = typer.Option(20.0, min=0.1, help="Changes told in a second."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON and the table."),
) -> None:
    """Measure loading against redis-benchmark on a server of its own, and a change's lag."""
    import json
    from dataclasses import asdict

    from service.redis_tier.bench import measure_load
    from service.redis_tier.bench_lag import measure_lag

    loaded = measure_load(items, say=_say)
    figures: dict[str, object] = {"load": asdict(loaded)}
    lines = [
        f"{loaded.items:,} items, values of {loaded.value_bytes:,} bytes, "
        f"{loaded.pipeline} in a pipeline, medians of alternating rounds",
        "",
        "| what | keys a second | of redis-benchmark |",
        "| --- | ---: | ---: |",
        f"| redis-benchmark SET | {loaded.benchmark:,.0f} | 100 % |",
        f"| records alone | {loaded.records:,.0f} | {loaded.records_share:.0%} |",
        f"| records and fields | {2 * loaded.whole:,.0f} | {loaded.whole_share:.0%} |",
        "",
        f"processor time of the loader: {loaded.client_us:.1f} µs an item, both keys",
    ]
    if store is not None:
        _say(f"{changes} changes at {rate:g} a second")
        lag = measure_lag(store, changes=changes, rate=rate)
        figures["lag"] = asdict(lag)
        lines += [
            "",
            "| lag of a change, seconds | p50 | p99 | most |",
            "| --- | ---: | ---: | ---: |",
            f"| entry → watcher's delta on disk | {lag.delta_p50:.3f} | {lag.delta_p99:.3f} | "
            f"{lag.delta_most:.3f} |",
            f"| announcement → replica's delta on disk | {lag.replica_p50:.3f} | "
            f"{lag.replica_p99:.3f} | {lag.replica_most:.3f} |",
        ]
    out.mkdir(parents=True, exist_ok=True)
    (out / "redis.json").write_text(json.dumps(figures, indent=1) + "\n")
    (out / "redis.txt").write_text("\n".join(lines) + "\n")
    typer.echo("\n".join(lines))


def _say(line: str) -> None:
    typer.echo(f"… {line}", err=True)
