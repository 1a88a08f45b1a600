"""`ellm data`: make the sample shop, split a data set into folds, strip it to titles, count it."""

from pathlib import Path

import typer

app = typer.Typer(
    help="Make the sample shop; split, strip and count a data set.", no_args_is_help=True
)


@app.command("sample-shop")
def sample_shop(
    out: Path = typer.Option(..., "--out", help="Folder for the shop's files; prefix OUT/shop."),
    seed: int = typer.Option(0, "--seed", help="The same seed gives the same bytes."),
    items: int = typer.Option(4400, "--items", help="How many items."),
    labelled_queries: int = typer.Option(480, "--labelled-queries", help="Judged queries."),
    unlabelled_queries: int = typer.Option(2600, "--unlabelled-queries", help="Other queries."),
    noise: float = typer.Option(0.06, "--noise", help="Share of labels flipped, below 0.5."),
) -> None:
    """Make an invented English shop: catalogue, query log, labels, gold chains of thought."""
    from relevance.sample_shop import ShopConfig, make_shop, write_shop

    config = ShopConfig(
        seed=seed,
        items=items,
        labelled_queries=labelled_queries,
        unlabelled_queries=unlabelled_queries,
        label_noise=noise,
    )
    shop = make_shop(config)
    prefix = write_shop(shop, out)
    hidden = shop.hidden
    typer.echo(f"{len(shop.items)} items, {len(shop.pairs)} labelled pairs")
    typer.echo(f"{len(shop.labelled_queries)} labelled queries, ", nl=False)
    typer.echo(f"{len(shop.queries_unlabelled)} unlabelled")
    typer.echo(f"Good: {shop.good_share:.1%}, label noise {noise:.1%}")
    typer.echo(f"deciding values absent or wrong in the fields: {hidden.absent_or_wrong:.1%}")
    typer.echo(f"deciding values only paraphrased there: {hidden.only_paraphrased:.1%}")
    typer.echo(f"pairs that the title alone decides: {hidden.in_title:.1%}")
    typer.echo(f"{prefix}: the data set's prefix")


@app.command()
def folds(
    data: Path = typer.Option(..., "--data", help="Prefix of a data set, as in DIR/shop."),
    out: Path = typer.Option(..., "--out", help="The folds to write (Parquet)."),
    folds: int = typer.Option(5, "--folds", help="How many folds.", min=2),
) -> None:
    """Split a data set's labelled pairs into folds by query, spelling variants together."""
    from relevance.folds import assign_folds, write_folds
    from relevance.records import find_data_set, read_pairs

    pairs = read_pairs(find_data_set(data).pairs)
    labelled = tuple(pair for pair in pairs if pair.good is not None)
    assignment = assign_folds(labelled, folds=folds)
    write_folds(out, assignment)
    tested: dict[int | None, list[bool]] = {}
    for pair in labelled:
        tested.setdefault(assignment.fold_of(pair), []).append(bool(pair.good))
    for fold in range(folds):
        queries = sum(assigned.fold == fold for assigned in assignment.queries)
        share = sum(tested[fold]) / len(tested[fold])
        typer.echo(f"fold {fold}: {len(tested[fold])} pairs, {queries} queries, {share:.1%} Good")
    typer.echo(f"in no fold: {len(tested.get(None, []))} of a left-out subset")
    typer.echo(f"without a label: {len(pairs) - len(labelled)}")
    typer.echo(f"{out}: folds {assignment.hash}")


@app.command("hold-out")
def hold_out(
    data: Path = typer.Option(..., "--data", help="Prefix of a data set, as in DIR/shop."),
    folds: Path = typer.Option(..., "--folds", help="The folds file of `ellm data folds`."),
    fold: int = typer.Option(..., "--fold", help="The outer fold kept for the test.", min=0),
    pairs: Path = typer.Option(..., "--pairs", help="Unlabelled pairs to sift."),
    out: Path = typer.Option(..., "--out", help="The pairs that may be learned from (Parquet)."),
) -> None:
    """Leave out pairs with a test or validation query (or a variant of one) or a test item."""
    from relevance.folds import holdout, read_folds, split
    from relevance.records import find_data_set, read_pairs, write_pairs

    labelled = read_pairs(find_data_set(data).pairs, labelled=True)
    parts = split(read_folds(folds), labelled, fold=fold)
    held_out = holdout(parts, queries_of=parts.validation)
    candidates = read_pairs(pairs)
    queries = {pair.query for pair in candidates}
    refused = {query for query in queries if held_out.holds_query(query)}
    kept = [p for p in candidates if p.query not in refused and not held_out.holds_item(p.item_id)]
    write_pairs(out, kept)
    typer.echo(f"{out}: {len(kept)} of {len(candidates)} pairs, {len(refused)} queries held out")


@app.command()
def titles(
    data: Path = typer.Option(..., "--data", help="Prefix of a data set, as in DIR/shop."),
    out: Path = typer.Option(..., "--out", help="Prefix of the data set to write."),
) -> None:
    """Write a data set whose items have nothing but id and title; all else stays as it is."""
    from relevance.records import find_data_set
    from relevance.titles_only import write_titles_only

    count = write_titles_only(find_data_set(data), out)
    typer.echo(f"{count} items with their titles alone: {out}")


@app.command()
def stats(
    data: Path = typer.Option(..., "--data", help="Prefix of the data set's files."),
    folds: Path | None = typer.Option(None, "--folds", help="The folds file, to count its parts."),
    fold: int = typer.Option(0, "--fold", help="The outer fold kept for the test.", min=0),
    pool: Path | None = typer.Option(None, "--pool", help="Unlabelled pairs to count beside."),
    judgements: Path | None = typer.Option(
        None, "--judgements", help="The teacher's verdicts on the pool, as its Good and Bad."
    ),
) -> None:
    """Print a data set's numbers as the paper's Table 1 does."""
    from relevance.data_stats import as_markdown, data_set_statistics
    from relevance.errors import BadInput

    if judgements is not None and pool is None:
        raise BadInput("--judgements: expected --pool beside it, whose pairs they judge")
    rows = data_set_statistics(
        data, folds=folds, fold=fold if folds else None, pool=pool, judgements=judgements
    )
    typer.echo(as_markdown(rows))
