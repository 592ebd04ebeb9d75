"""`galaxy-explorer info` and `galaxy-explorer card`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from galaxy_explorer.commands.common import AsJson, BundleFolder, say, say_json

if TYPE_CHECKING:
    from galaxy_explorer.bundle.bundle import Bundle


def info(
    bundle: BundleFolder,
    *,
    layers: Annotated[
        bool, typer.Option("--layers", help="The layers of a model, as the report's Table 1.")
    ] = False,
    model: Annotated[
        str | None, typer.Option(help="Model for --layers; else the one that draws pictures.")
    ] = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Read and check all of it, also what is else read in use."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print what a bundle is: its model card, or the layers of one of its models.

    [bold]Examples[/bold]

    galaxy-explorer info trained/sdss

    galaxy-explorer info trained/sdss --layers --model k512-modern-16x16

    galaxy-explorer info trained/sdss --verify --json
    """
    from rich.markdown import Markdown
    from rich.table import Table

    from galaxy_explorer.bundle.bundle import load_bundle, verify_bundle
    from galaxy_explorer.bundle.card import card_text
    from galaxy_explorer.errors import SettingError
    from galaxy_explorer.survey.store import OLD_ORIENTATION

    opened = (verify_bundle if verify else load_bundle)(bundle)
    if not (layers or model):
        if as_json:
            say_json(facts(opened))
            return
        # A card from elsewhere must not steer the terminal.
        text = "".join(c for c in card_text(opened.card) if c.isprintable() or c == "\n")
        say(Markdown(text))
        say(f"Orientation of its stamps: {opened.manifest.survey.orientation or OLD_ORIENTATION}")
        say(f"SHA-256 of the manifest: {opened.hash}")
        if verify:
            say(f"All {len(opened.manifest.files)} files are as the manifest has them.")
        return
    name = model or opened.manifest.display_model
    if name not in opened.models:
        raise SettingError(f"--model {name}: not among {', '.join(opened.models)}")
    rows = opened.load_model(name).layer_table()
    if as_json:
        say_json({"bundle": opened.name, "model": name, "layers": [asdict(row) for row in rows]})
        return
    table = Table(title=f"{name}: layers (report, Table 1)")
    table.add_column("Type", no_wrap=True)
    for head in ("#features", "filter size", "stride size", "non-linearity", "parameters"):
        table.add_column(head, justify="right")
    for row in rows:
        numbers = (str(row.features), row.filter, row.stride, row.nonlinearity)
        table.add_row(row.name, *numbers, f"{row.parameters:,}")
    say(table)


def card(bundles: Annotated[list[Path], typer.Argument(help="Bundle folders.")]) -> None:
    """Write the model card of bundles anew, from what they hold; nothing else of them changes.

    For bundles that an older version wrote. The card begins with the header of metadata (licence,
    tags, data, metrics) that hubs of models read.

    [bold]Example[/bold]

    galaxy-explorer card trained/mine
    """
    from galaxy_explorer.bundle.remaking import renew_card

    for bundle in bundles:
        say(f"{bundle}: {'written anew' if renew_card(bundle) else 'as it was'}")


def facts(bundle: Bundle) -> dict[str, Any]:
    """What a bundle is, as JSON values."""
    from msgspec import to_builtins

    about = bundle.manifest
    return {
        "bundle": bundle.name,
        "bundle_sha256": bundle.hash,
        "n_galaxies": len(bundle),
        "software": about.software,
        "created": about.created,
        "recipe": about.recipe,
        "hardware": about.hardware,
        "survey": to_builtins(about.survey),
        "default_clustering": about.default_clustering,
        "display_model": about.display_model,
        "models": {
            name: {
                "kind": entry.kind,
                "config": entry.config,
                "metrics": to_builtins(entry.metrics),
            }
            for name, entry in bundle.models.items()
        },
        "clusterings": list(bundle.clusterings),
        "cluster_names": {
            key: [one.name for one in bundle.cluster_names(key)] for key in bundle.clusterings
        },
        "placing": {
            key: to_builtins(entry.placing)
            for key, entry in about.clusterings.items()
            if entry.placing is not None
        },
        "priors": list(bundle.priors),
        "evaluated": bundle.evaluation is not None,
        "emulator_evaluated": bundle.emulation is not None,
        "columns": bundle.column_names,
    }
