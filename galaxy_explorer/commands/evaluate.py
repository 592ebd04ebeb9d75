"""`galaxy-explorer evaluate` and `galaxy-explorer evaluate-deconvolution`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxy_explorer.commands.common import (
    AsJson,
    BundleFolder,
    PsfBundle,
    Scheduler,
    announce,
    say,
    say_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from galaxy_explorer.bundle.emulation import EmulationFigure


def evaluate(  # noqa: PLR0913 - each option of the command is an argument
    bundle: BundleFolder,
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
    scheduler: Scheduler = None,
    out: Annotated[
        Path | None, typer.Option(help="Write into a copy of the bundle, here; else into itself.")
    ] = None,
    emulator: Annotated[
        bool, typer.Option("--emulator", help="The emulator instead: do its samples obey?")
    ] = False,
    judge: Annotated[
        bool,
        typer.Option("--judge", help="Only the network that reads T and attributes off samples."),
    ] = False,
    n: Annotated[
        int,
        typer.Option(
            "--n",
            "-n",
            min=40,
            help="With --emulator: samples drawn, and held-out galaxies at most.",
        ),
    ] = 1000,
    model: Annotated[
        str | None,
        typer.Option(
            help="With --emulator: the priors of this model, or MODEL/KIND, alone; others stay."
        ),
    ] = None,
    emulator_model: Annotated[str | None, typer.Option(hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a bundle on held-out galaxies: the scoreboard, the report's claims, the model card.

    Writes evaluation.json, CLAIMS.md and the card; with --emulator, emulation.json, the card and
    the guidance that samples obey best (about 15 minutes of one core for each prior of the bundle).
    The network that judges samples is trained by either (half an hour of one core); --judge trains
    it alone and puts it into the bundle, so that generate writes what it reads with every sample.
    Interrupt it as you like: the same command resumes, from BUNDLE.work. Further trainings in that
    folder (train --seeds) are used.

    [bold]Examples[/bold]

    galaxy-explorer evaluate trained/report --survey surveys/report

    galaxy-explorer evaluate trained/mine --grid full --seeds 3

    galaxy-explorer evaluate trained/mine --scheduler local

    galaxy-explorer evaluate trained/sdss --survey surveys/sdss --emulator

    galaxy-explorer evaluate trained/sdss --survey surveys/sdss --judge
    """
    from galaxy_explorer.bundle.bundle import load_bundle
    from galaxy_explorer.errors import SettingError

    opened = load_bundle(bundle)
    source = survey or Path("surveys") / opened.manifest.survey.name
    told: Callable[[str], None] = (lambda _: None) if as_json else announce
    if emulator and judge:
        raise SettingError("--judge: --emulator makes the judge too; give one of the two")
    if scheduler and (emulator or judge):
        raise SettingError("--scheduler: its workers measure the scoreboard alone; leave it out")
    if judge:
        _judge(bundle, source, grid, out, as_json=as_json)
        return
    if emulator:
        from galaxy_explorer.bundle.emulation import EMULATION, headline
        from galaxy_explorer.evaluation.emulator.run import evaluate_emulator

        proof = evaluate_emulator(
            bundle,
            source,
            samples=n,
            grid=grid,
            workers=workers,
            out=out,
            only=model or emulator_model,
            say=told,
        )
        if as_json:
            _say_file(out or bundle, EMULATION)
            return
        for part in (proof, *proof.others):
            say("\n".join([f"Prior of {part.words}", *map(in_line, part.figures), *headline(part)]))
        say(f"Written into {out or bundle}; look at it: galaxy-explorer info {out or bundle}")
        return
    from galaxy_explorer.bundle.evaluation import EVALUATION
    from galaxy_explorer.evaluation.run import evaluate_bundle

    made = evaluate_bundle(
        bundle,
        source,
        out=out,
        grid=grid,
        seeds=seeds,
        workers=workers,
        scheduler=scheduler,
        say=told,
    )
    if as_json:
        _say_file(out or bundle, EVALUATION)
        return
    total = made.costs[-1]
    say(f"{len(made.rows)} figures, {len(made.claims)} claims, {len(made.targets)} goals")
    say(f"{total.seconds / 60:.1f} min in all stages, at most {total.peak_mib:.0f} MiB")
    say(f"Written into {out or bundle}; look at it: galaxy-explorer info {out or bundle}")


def _judge(bundle: Path, source: Path, grid: str, out: Path | None, *, as_json: bool) -> None:
    """Train the judge of a bundle, put it there, and report how well it reads."""
    from msgspec import to_builtins

    from galaxy_explorer.bundle.card import readings_rows
    from galaxy_explorer.evaluation.judge import add_judge

    told: Callable[[str], None] = (lambda _: None) if as_json else announce
    entry = add_judge(bundle, source, grid=grid, out=out, say=told)
    if as_json:
        say_json({"bundle": out or bundle, **to_builtins(entry)})
        return
    say("\n".join(map(reading_in_line, readings_rows(entry))))
    say(f"Written into {out or bundle}; look at it: galaxy-explorer info {out or bundle}")


def in_line(figure: EmulationFigure) -> str:
    """A figure of the proof with its verdict, in one line."""
    value = "-" if figure.value is None else f"{figure.value:.3f}"
    what = f"{figure.name}, {figure.statistic}" if figure.statistic else figure.name
    return f"{figure.verdict:12} {value:>7}  {what} (n {figure.n})"


def reading_in_line(row: Sequence[object]) -> str:
    """A row of how well the judge reads, in one line."""
    what, stamps, number, r, rms, mean = row
    return f"{what}, {stamps}: r {r}, rms error {rms}, mean error {mean} (n {number})"


def _say_file(bundle: Path, name: str) -> None:
    """Report a JSON file of a bundle, with the folder that it was written into."""
    say_json({"bundle": bundle, **json.loads((bundle / name).read_text(encoding="utf-8"))})


def evaluate_deconvolution(
    bundle: PsfBundle,
    *,
    survey: Annotated[
        Path, typer.Option(help="Simulated survey that it was trained on, with truth.")
    ],
    n: Annotated[
        int, typer.Option("--n", "-n", min=10, help="Test galaxies at each peak S/N.")
    ] = 200,
    real: Annotated[Path | None, typer.Option(help="Survey of real stamps, linear.")] = None,
    exposure: Annotated[
        float | None,
        typer.Option(
            help="Exposure of the real stamps (s), in electrons/s, for the photon noise of the"
            " light; without it the noise is the sky's alone."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge the deconvolution against known truth, beside Wiener and Richardson-Lucy.

    Galaxies of the test split are observed at peak S/N 20, 50 and 200; the classics are tuned on
    validation galaxies. The figures go into BUNDLE/deconvolution.json and the model card. Interrupt
    it as you like: the same command resumes.

    [bold]Example[/bold]

    galaxy-explorer evaluate-deconvolution trained/candels --survey surveys/sim_candels
    """
    from rich.table import Table

    from galaxy_explorer.evaluation.deconvolution import DeconvolutionEvaluation
    from galaxy_explorer.evaluation.deconvolution import evaluate_deconvolution as measure

    found = measure(DeconvolutionEvaluation(bundle, survey, n, real, exposure))
    if as_json:
        say_json({"bundle": bundle, **found})
        return
    figures = Table(
        "peak S/N", "figure", "method", "value", "95 %", "control", title="Deconvolution"
    )
    for row in found["figures"]:
        control = "" if row["control"] is None else f"{row['control']:.3g}"
        figures.add_row(
            f"{row['peak_sn']:g}", row["name"], row["method"], f"{row['value']:.3f} {row['unit']}",
            f"{row['low']:.3f} to {row['high']:.3f}", control,
        )  # fmt: skip
    say(figures)
    goals = Table("peak S/N", "target", "goal", "found", "met", title="Targets, network and data")
    for row in found["targets"]:
        met = "yes" if row["met"] else "no"
        goals.add_row(f"{row['peak_sn']:g}", row["name"], row["goal"], f"{row['value']:.3f}", met)
    say(goals)
    limit = found["band"]["limit_cycles_per_arcsec"]
    say(f"Beyond {limit:.2f} cycles/arcsec structure is the prior's, not the data's.")
