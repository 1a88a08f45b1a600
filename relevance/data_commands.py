"""`ellm data`: make the sample shop, split a data set into folds."""

import typer

app = typer.Typer(help="Make the sample shop; split a data set into folds.", no_args_is_help=True)
