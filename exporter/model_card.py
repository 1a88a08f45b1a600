"""A README.md for a student that leaves in sentence-transformers' layout.

The front matter is the Hugging Face Hub's; the text says only what the checkpoint's card does.
The layout itself is `trainer.students.interop`'s.
"""

from pathlib import Path

from relevance.atomic import write_text
from trainer.students.checkpoint import StudentCard
from trainer.students.student import StudentKind

README = "README.md"
CLASSES = {StudentKind.COLBERT: "MultiVectorEncoder", StudentKind.BERT: "CrossEncoder"}
USES = {
    StudentKind.COLBERT: """from sentence_transformers import MultiVectorEncoder

model = MultiVectorEncoder("{folder}")
queries = model.encode_query(["red desk lamp"])
items = model.encode_document(["Oak Desk Lamp, Red"])
model.similarity(queries, items)  # mean over query tokens of the best cosine""",
    StudentKind.BERT: """from sentence_transformers import CrossEncoder

model = CrossEncoder("{folder}")
model.predict([("red desk lamp", "Oak Desk Lamp, Red")])""",
}


def write_model_card(folder: Path, card: StudentCard, *, licence: str) -> None:
    """Write the card beside the model's files, crash-safe."""
    write_text(folder / README, model_card(card, licence=licence, folder=folder.name))


def model_card(card: StudentCard, *, licence: str, folder: str) -> str:
    """The page for a colbert or bert student; `licence` is a Hub identifier, empty for unknown."""
    front = [
        "---",
        "library_name: sentence-transformers",
        f"license: {licence or 'other'}",
        "pipeline_tag: " + ("text-ranking" if card.student is StudentKind.BERT else
                            "sentence-similarity"),
        "tags: [e-commerce, relevance, distillation]",
        "---",
    ]  # fmt: skip
    facts = {
        "student": card.student.value,
        "backbone": card.backbone,
        "embeddings": f"{card.dim} dimensions" if card.student is StudentKind.COLBERT else "",
        "longest query": f"{card.query_tokens} tokens",
        "longest item text": f"{card.item_tokens} tokens of {card.item_text.value}",
        **{f"recipe: {name}": str(value) for name, value in card.recipe.items()},
        **{f"run: {name}": f"{value:g}" for name, value in card.run.items()},
    }
    rows = [f"| {name} | {value} |" for name, value in facts.items() if value]
    return "\n".join(
        [
            *front,
            "",
            f"# Query-item relevance, a {CLASSES[card.student]}",
            "",
            "Judges whether an item answers a shopper's query. Normalise texts first (NFKC, no "
            "control characters, single spaces): `relevance.text.normalise`.",
            "",
            "```python",
            USES[card.student].format(folder=folder),
            "```",
            "",
            "The similarity is not a probability; a bundle of the same checkpoint holds the "
            "calibrated slope and bias.",
            "",
            "| | |",
            "| --- | --- |",
            *rows,
            "",
        ]
    )
