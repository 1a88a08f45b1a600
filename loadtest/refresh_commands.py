"""`ellm bench refresh`: items a second of a full refresh beside sentence-transformers' encoding.

Both run as processes, one after the other and several times in turn, on the same items. The
refresh is timed as a whole (open the bundle, read, encode, write, check, switch), the peer's
encoding alone, its model loaded and warm.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import typer

PEER = Path(__file__).parent / "peers" / "encode_peer.py"
DEFAULT_SETTING = "float32, batches of 32 (default)"


def refresh_command(
    bundle: Path = typer.Option(..., help="Folder the exporter wrote."),
    items: Path = typer.Option(..., help="Catalogue whose first items are encoded."),
    peer_model: Path = typer.Option(..., help="The same student in sentence-transformers' layout."),
    count: int = typer.Option(20_000, min=100, help="At most so many items."),
    rounds: int = typer.Option(3, min=1, help="Alternating rounds; medians are reported."),
    peer_python: Path = typer.Option(
        Path(sys.executable), help="Python that has sentence-transformers, for the peer."
    ),
    out: Path = typer.Option(Path("build/bench"), help="Folder of the JSON and the table."),
) -> None:
    """Measure a full refresh against sentence-transformers' `encode_document`."""
    ours: list[float] = []
    theirs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="ellm-bench-") as scratch:
        folder = Path(scratch)
        taken = _take(items, folder, count, bundle)
        for _ in range(rounds):
            ours.append(_refresh(bundle, folder))
            for setting, rate in _encode(peer_python, peer_model, folder).items():
                theirs.setdefault(setting, []).append(rate)
    rates = {"refresh": median(ours), **{name: median(found) for name, found in theirs.items()}}
    fastest = max(rate for name, rate in rates.items() if name != "refresh")
    ratios = {
        "refresh / fastest": rates["refresh"] / fastest,
        "refresh / default": rates["refresh"] / rates[DEFAULT_SETTING],
    }
    table = [f"{taken:,} items, {rounds} rounds"]
    table += [f"{name:<34} {rate:>9,.0f} items/s" for name, rate in rates.items()]
    table += [f"{name:<34} {ratio:>9.2f}" for name, ratio in ratios.items()]
    out.mkdir(parents=True, exist_ok=True)
    measured = {"items": taken, "rounds": rounds, "cpus": os.cpu_count(), **rates, **ratios}
    (out / "refresh.json").write_text(json.dumps(measured, indent=1) + "\n")
    (out / "refresh.txt").write_text("\n".join(table) + "\n")
    typer.echo("\n".join(table))


def _take(items: Path, folder: Path, count: int, bundle: Path) -> int:
    """The first items as a catalogue of their own, and their texts for the peer; how many."""
    from relevance.bundle import read_bundle
    from relevance.item_text import item_text
    from relevance.records import read_catalogue

    template = read_bundle(bundle).item_text
    chosen = read_catalogue(items)[:count]
    fields = ("item_id", "title", "brand", "color")
    lines = [json.dumps({name: getattr(item, name) for name in fields}) for item in chosen]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    texts = [item_text(item, template) for item in chosen]
    (folder / "texts.json").write_text(json.dumps(texts))
    return len(chosen)


def _refresh(bundle: Path, folder: Path) -> float:
    words = ["refresh", "--full", "--bundle", bundle, "--items", folder / "items.jsonl"]
    shown = _run([sys.executable, "-m", "relevance", *words, "--store", folder / "store"])
    lines = dict(line.split(maxsplit=1) for line in shown.splitlines())
    seconds = float(lines["seconds"].split()[0])
    return int(lines["written"].split()[0].replace(",", "")) / seconds


def _encode(python: Path, model: Path, folder: Path) -> dict[str, float]:
    shown = _run([str(python), PEER, model, folder / "texts.json"])
    rates: dict[str, float] = json.loads(shown.splitlines()[-1])
    return rates


def _run(words: list[object]) -> str:
    run = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if run.returncode:
        raise SystemExit(f"{' '.join(map(str, words))}\n{run.stderr}")
    return run.stdout
