"""`galaxy-explorer evaluate-deconvolution`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table


def evaluate_deconvolution(
    bundle: Annotated[Path, typer.Argument(help="Bundle with a model with the PSF layer.")],
    *,
    survey: Annotated[
        Path, typer.Option(help="Simulated survey that it was trained on, with truth.")
    ],
    n: Annotated[int, typer.Option("--n", min=10, help="Test galaxies at each peak S/N.")] = 200,
    real: Annotated[Path | None, typer.Option(help="Survey of real stamps, linear.")] = None,
    exposure: Annotated[
        float | None,
        typer.Option(
            help="Exposure of the real stamps (s), in electrons/s, for the photon noise of the"
            " light; without it the noise is the sky's alone."
        ),
    ] = None,
) -> None:
    """Judge the deconvolution against known truth, beside Wiener and Richardson-Lucy.

    Galaxies of the test split are observed at peak S/N 20, 50 and 200; the classics are tuned on
    validation galaxies. The figures go into BUNDLE/deconvolution.json and the model card. Interrupt
    it as you like: the same command resumes.

    [bold]Example[/bold]

    galaxy-explorer evaluate-deconvolution trained/candels --survey surveys/sim_candels
    """
    from rich.console import Console

    from galaxy_explorer.pipeline.psf_evaluation import Request
    from galaxy_explorer.pipeline.psf_evaluation import evaluate_deconvolution as measure

    found = measure(Request(bundle, survey, n, real, exposure))
    console = Console()
    console.print(_figures(found))
    console.print(_targets(found))
    limit = found["band"]["limit_cycles_per_arcsec"]
    console.print(f"Beyond {limit:.2f} cycles/arcsec structure is the prior's, not the data's.")


def _figures(found: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table("peak S/N", "figure", "method", "value", "95 %", "control", title="Deconvolution")
    for row in found["figures"]:
        control = "" if row["control"] is None else f"{row['control']:.3g}"
        table.add_row(
            f"{row['peak_sn']:g}", row["name"], row["method"], f"{row['value']:.3f} {row['unit']}",
            f"{row['low']:.3f} to {row['high']:.3f}", control,
        )  # fmt: skip
    return table


def _targets(found: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table("peak S/N", "target", "goal", "found", "met", title="Targets, network and data")
    for row in found["targets"]:
        met = "yes" if row["met"] else "no"
        table.add_row(f"{row['peak_sn']:g}", row["name"], row["goal"], f"{row['value']:.3f}", met)
    return table
