"""`galaxy-explorer report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from galaxy_explorer.commands.common import BundleFolder, say


def report(
    bundle: BundleFolder,
    *,
    out: Annotated[Path, typer.Option(help="HTML file to write.")],
    clustering: Annotated[
        str | None, typer.Option(help="Clustering to show; else the bundle's default.")
    ] = None,
) -> None:
    """Write a bundle as one HTML page for a paper's supplement: read-only, self-contained.

    Clusters, Hubble types, typical members as the model draws them, figures of all models.

    [bold]Examples[/bold]

    galaxy-explorer report trained/sdss --out report.html

    galaxy-explorer report trained/report --clustering k16-modern-8x8/codes --out k16.html
    """
    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.errors import SettingError
    from galaxy_explorer.explorer.export.report import report as page
    from galaxy_explorer.utils.files import atomic_write_text
    from galaxy_explorer.utils.progress import progress

    opened = load_bundle(bundle)
    key = clustering or opened.manifest.default_clustering
    if key not in opened.clusterings:
        raise SettingError(f"--clustering {key}: not among {', '.join(opened.clusterings)}")
    count = len(opened.clusterings[key].clusters)
    with progress(count, "Drawing", unit="clusters") as advance:
        text = page(opened, key, advance)
    atomic_write_text(out, text)
    say(f"{opened.name}: {count} clusters in {out} ({len(text) / 1e6:.1f} MB)")
