"""`galaxy-explorer evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from galaxy_explorer.bundle_emulation import EmulationFigure


def evaluate(  # noqa: PLR0913 - each option of the command is an argument
    bundle: Annotated[Path, typer.Argument(help="Bundle folder, from train.")],
    *,
    survey: Annotated[
        Path | None,
        typer.Option(help="Survey it was made from; else surveys/<its name>."),
    ] = None,
    grid: Annotated[
        str, typer.Option(help="How much: tiny (a try), quick (half an hour), full (hours).")
    ] = "quick",
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Trainings of each model at most; all there are.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes for the morphology.")] = 2,
    out: Annotated[
        Path | None, typer.Option(help="Write into a copy of the bundle, here; else into itself.")
    ] = None,
    emulator: Annotated[
        bool, typer.Option("--emulator", help="The emulator instead: do its samples obey?")
    ] = False,
    emulator_samples: Annotated[
        int, typer.Option(min=40, help="Samples drawn, and held-out galaxies at most.")
    ] = 1000,
    emulator_model: Annotated[
        str | None,
        typer.Option(help="With --emulator: the prior of this model alone; others stay."),
    ] = None,
) -> None:
    """Measure a bundle on held-out galaxies: the scoreboard, the report's claims, the model card.

    Writes evaluation.json, CLAIMS.md and the card; with --emulator, emulation.json, the card and
    the guidance that samples obey best (about 15 minutes of one core for each prior of the bundle).
    Interrupt it as you like: the same command resumes, from BUNDLE.work. Further trainings in that
    folder (train --seeds) are used.

    [bold]Examples[/bold]

    galaxy-explorer evaluate trained/sdss --survey surveys/sdss

    galaxy-explorer evaluate trained/mine --grid full --seeds 3

    galaxy-explorer evaluate trained/sdss --survey surveys/sdss --emulator
    """
    from rich.console import Console

    from galaxy_explorer.bundle import load_bundle
    from galaxy_explorer.evaluation import evaluate_bundle

    console = Console(highlight=False)
    opened = load_bundle(bundle)
    source = survey or Path("surveys") / str(opened.manifest["survey"]["name"])

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    if emulator:
        from galaxy_explorer.evaluation.emulator import evaluate_emulator

        proof = evaluate_emulator(
            bundle,
            source,
            samples=emulator_samples,
            grid=grid,
            workers=workers,
            out=out,
            only=emulator_model,
            say=say,
        )
        for part in (proof, *proof.others):
            say(f"Prior of {part.model}")
            for figure in part.figures:
                say(in_line(figure))
        say(f"Written into {out or bundle}; look at it: galaxy-explorer info {out or bundle}")
        return
    made = evaluate_bundle(
        bundle, source, out=out, grid=grid, seeds=seeds, workers=workers, say=say
    )
    total = made.costs[-1]
    say(f"{len(made.rows)} figures, {len(made.claims)} claims, {len(made.targets)} goals")
    say(f"{total.seconds / 60:.1f} min in all stages, at most {total.peak_mib:.0f} MiB")
    say(f"Written into {out or bundle}; look at it: galaxy-explorer info {out or bundle}")


def in_line(figure: EmulationFigure) -> str:
    """A figure of the proof with its verdict, in one line."""
    value = "-" if figure.value is None else f"{figure.value:.3f}"
    what = f"{figure.name}, {figure.statistic}" if figure.statistic else figure.name
    return f"{figure.verdict:12} {value:>7}  {what} (n {figure.n})"
