"""`galaxy-explorer steer`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import AsJson, say, say_json


def steer(  # noqa: PLR0913 - options
    bundle: Annotated[Path, typer.Argument(help="Bundle folder; the clusters are put into it.")],
    *,
    name: Annotated[
        str, typer.Option(help="Of the clusters: small letters, digits, - and _, such as bars.")
    ],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Table of labels, as the page Label exports it; else the catalogue's column."
        ),
    ] = None,
    column: Annotated[
        str,
        typer.Option(
            help="Column of the labels: numbers or words; or a label of a feature, such as bar."
        ),
    ] = "ttype",
    n: Annotated[
        int | None,
        typer.Option(
            "--n",
            "-n",
            min=10,
            help="Take so many labelled training galaxies at random; else all.",
        ),
    ] = None,
    k: Annotated[int, typer.Option(min=2, max=512, help="Number of clusters.")] = 8,
    clustering: Annotated[
        str | None,
        typer.Option(help="Whose features and map are taken; else the recommended clustering's."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of what is drawn at random.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Cluster a finished bundle along what some labels say, beside its other clusterings.

    A hundred labels turn clusters by looks into clusters by what was labelled: by Hubble type, by
    class, by bars. Nothing is replaced. Says on how many labels the clusters stand, and how they do
    on galaxies that were not among them, beside as many clusters without labels.

    [bold]Examples[/bold]

    galaxy-explorer steer trained/sdss --column ttype --n 100 --name early_late

    galaxy-explorer steer trained/sdss --labels labels.csv --column bar --name bars --k 4
    """
    from msgspec import to_builtins

    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.bundle.clusterings import STEERED_NAME
    from galaxy_explorer.errors import SettingError
    from galaxy_explorer.pipeline.steering import add_steered, catalogued, drawn, read_targets

    if not re.match(STEERED_NAME, name):
        raise SettingError(f"--name {name}: small letters, digits, - and _, at most 41")
    opened, others = load_bundle(bundle), 0
    if labels is None:
        targets, source = catalogued(opened, column), "the catalogue"
        targets = drawn(opened, targets, n or len(targets), seed)
    else:
        targets, others = read_targets(opened, labels, column)
        source = labels.name
        if n is not None:
            targets = drawn(opened, targets, n, seed)
    key, found = add_steered(
        bundle, targets, name=name, column=column, source=source, k=k, clustering=clustering,
        seed=seed,
    )  # fmt: skip
    if as_json:
        say_json({"clustering": key, "not_in_bundle": others, **to_builtins(found)})
        return
    if others:
        say(f"{others:,} rows of {source} are of galaxies that the bundle does not have")
    words = {"eta2": f"Share of the variance of {column} between clusters", "ami": "AMI"}
    say(f"{key}: {k} clusters along {column} of {found.n:,} galaxies, from {source}")
    if found.steered.value is None:
        say("No other galaxy has such a label: how good they are is not known")
        return
    say(
        f"{words[found.figure]}, on {found.held:,} other galaxies: {_words(found.steered)}, by"
        f" chance {found.steered.chance or 0:.3f}; without labels {_words(found.unsteered)};"
        f" gain {_words(found.gain)}"
    )


def _words(score: object) -> str:
    """A score with its interval."""
    parts = (getattr(score, end) for end in ("value", "low", "high"))
    value, low, high = ("–" if part is None else f"{part:.3f}" for part in parts)
    return f"{value} ({low} to {high})"
