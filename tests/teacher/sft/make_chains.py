"""A few items, chains of thought about them, and an untrained model of two small layers."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from relevance.chain_of_thought import render
from relevance.domain import AspectFinding, ChainOfThought, Item, Label, Verdict
from teacher.online.llm.prompt import Guidance, ItemFields, PromptStyle
from tests.vllm.small_model import write_small_model

STYLE = PromptStyle(guidance=Guidance.TUNED, reads=ItemFields.SHORT)
ITEMS = {
    item.item_id: item
    for item in (
        Item("desk", "Oak Desk with Drawer", brand="Norvane", category_path="Home > Desks"),
        Item("lamp", "Good Night Red Lamp", color="red"),
        Item("mug", "Blue Mug 12 oz", color="blue"),
    )
}


def finding(
    aspect: str = "product",
    asked: str = "desk",
    offered: str | None = "Desk",
    verdict: Verdict = Verdict.MATCH,
) -> AspectFinding:
    return AspectFinding(aspect, asked, offered, verdict)


GOOD_DESK = ChainOfThought((finding(),), Label.GOOD)
BAD_MUG = ChainOfThought(
    (
        finding(asked="mug", offered="Mug"),
        finding("color", "red", "Blue", Verdict.MISMATCH),
        finding("season", "winter", None, Verdict.MISSING),
    ),
    Label.BAD,
    "color",
)
CHAINS = (("oak desk", "desk", GOOD_DESK), ("red mug winter", "mug", BAD_MUG))


def written_chains(
    path: Path, chains: tuple[tuple[str, str, ChainOfThought], ...] = CHAINS
) -> Path:
    rows = [
        {"query": query, "item_id": item_id, "chain_of_thought": render(thought)}
        for query, item_id, thought in chains
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def written_model(folder: Path) -> Path:
    answers = [render(thought) for _, _, thought in CHAINS] * 20
    queries = [f" {query}" for query, _, _ in CHAINS]
    write_small_model(
        folder, list(ITEMS.values()), queries, answers, width=64, heads=2, layers=2, vocabulary=500
    )
    return folder
