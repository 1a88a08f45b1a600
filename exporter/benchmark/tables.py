"""The benchmark's tables in Markdown, and what machine they were made on."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from exporter.benchmark.codec_bench import CodecRow
from exporter.benchmark.maxsim_bench import MaxSimBench
from exporter.benchmark.precision_bench import TOKENS, PrecisionRow

CPU_FLAGS = ("avx2", "avx512_vnni", "avx_vnni", "amx_int8")


def machine() -> str:
    """The CPU's name, which of the telling instruction sets it has, cores, load while measuring."""
    told = _cpuinfo()
    flags = [flag for flag in CPU_FLAGS if flag in told.get("flags", "").split()]
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    name = told.get("model name", platform.processor())
    return f"{name} ({', '.join(flags)}), {os.cpu_count()} cores, load {load:.1f}"


def precision_table(rows: Sequence[PrecisionRow]) -> str:
    """Precisions beside each other; ratios to the first."""
    header = (
        *("precision", "MB", f"ms at {TOKENS} tokens (best / quartile)", "time, ratio"),
        *("mean Δcosine", "max", "ROC-AUC points lost", "Kendall τ mean (worst)"),
    )
    first = rows[0].timing
    lines = []
    for row in rows:
        m = row.measures
        lines.append(
            (
                row.precision.value,
                f"{row.encoder_bytes / 1e6:.1f}",
                f"{row.timing.best:.2f} / {row.timing.quartile:.2f}",
                f"{row.timing.best / first.best:.2f} / {row.timing.quartile / first.quartile:.2f}",
                f"{m['similarity_mean_difference']:.4f}",
                f"{m['similarity_max_difference']:.4f}",
                _told(m, "roc_auc_points_lost", "+.2f"),
                f"{_told(m, 'kendall_tau_mean', '.3f')} ({_told(m, 'kendall_tau_worst', '.3f')})",
            )
        )
    return _table(header, lines)


def codec_table(rows: Sequence[CodecRow]) -> str:
    """Codecs beside each other."""
    header = (
        *("codec", "bytes an item", "µs for 1,000 items", "ROC-AUC", "Neg PR-AUC"),
        "within-query AUC",
    )
    lines = [
        (
            row.codec,
            f"{row.item_bytes:,}",
            f"{row.timing.quartile * 1e3:.0f}",
            f"{100 * row.roc_auc:.2f}",
            f"{100 * row.neg_pr_auc:.2f}",
            f"{100 * row.within_query_auc:.2f}",
        )
        for row in rows
    ]
    return _table(header, lines)


def maxsim_table(bench: MaxSimBench) -> str:
    """Contestants beside each other; ratios to ours."""
    size = f"{bench.candidates:,} items of {bench.arena_bytes / 1e9:.2f} GB"
    header = (size, "ms best", "ms quartile", "ms median", "times ours (best / quartile)")
    ours = bench.timings["ours"]
    lines = [
        (
            name,
            f"{t.best:.3f}",
            f"{t.quartile:.3f}",
            f"{t.median:.3f}",
            f"{t.best / ours.best:.2f} / {t.quartile / ours.quartile:.2f}",
        )
        for name, t in bench.timings.items()
    ]
    return _table(header, lines)


def _told(measures: dict[str, float], name: str, form: str) -> str:
    return format(measures[name], form) if name in measures else "–"


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cpuinfo() -> dict[str, str]:
    """The first processor of /proc/cpuinfo; empty elsewhere."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    first = path.read_text().split("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
