"""The shape of the source: who may import whom, how long things get, what is tracked."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "galaxy_explorer"
MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = [
    path
    for path in (*MODULES, *ROOT.glob("*.py"), *(ROOT / "benchmarks").glob("*.py"))
    if path.stat().st_size
]
EVERYTHING = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py")), *(ROOT / ".ci").glob("*.py")]

Function = ast.FunctionDef | ast.AsyncFunctionDef

MAX_FILE_LINES = 300
MAX_APP_LINES = 30
MAX_FUNCTION_LINES = 40
MAX_ARGUMENTS = 8

BASE = {"errors", "settings", "files", "progress"}
SCIENCE = BASE | {"survey", "models", "clustering", "bundle"}

# room: (rooms of this package it may import, libraries it may import)
ARROWS: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "settings": ({"errors"}, set()),
    "files": ({"errors"}, set()),
    "progress": (set(), {"rich"}),
    "survey": (
        BASE,
        {"numpy", "scipy", "astropy", "PIL", "zarr", "pyarrow", "h5py", "galsim", "threadpoolctl"},
    ),
    "models": (BASE, {"numpy", "torch", "safetensors", "zuko"}),
    "clustering": (BASE, {"numpy", "scipy", "sklearn", "umap"}),
    "bundle": (BASE | {"models", "clustering"}, {"numpy", "pyarrow", "safetensors", "torch"}),
    "deconvolution": (BASE | {"models"}, {"numpy", "scipy", "skimage", "torch"}),
    "emulation": (
        BASE | {"survey", "models", "bundle", "deconvolution"},
        {
            *("numpy", "scipy", "sklearn", "torch", "safetensors", "statmorph"),
            *("astropy", "PIL", "galsim"),
        },
    ),
    "classification": (SCIENCE, {"numpy", "scipy", "pyarrow", "astropy"}),
    "api": (
        SCIENCE | {"classification", "deconvolution", "emulation", "labels", "pipeline", "utils"},
        {"astropy"},
    ),
    "__main__": ({"cli"}, set()),
    "labels": (BASE, {"numpy", "astropy", "platformdirs"}),
    "tables": (BASE | {"bundle"}, {"numpy", "astropy"}),
    "model_card": (BASE, set()),
    "pipeline": (
        SCIENCE | {"deconvolution", "model_card"},
        {"numpy", "pyarrow", "safetensors", "torch"},
    ),
    "evaluation": (
        SCIENCE | {"emulation", "pipeline", "model_card"},
        {"numpy", "scipy", "skimage", "torch"},
    ),
    "explorer": (
        BASE
        | {"bundle", "survey", "clustering", "classification", "deconvolution", "tables", "labels"}
        | {"emulation"},
        {
            *("numpy", "scipy", "astropy", "PIL", "bokeh", "colorcet", "holoviews", "matplotlib"),
            *("panel", "panel_material_ui", "param", "platformdirs", "pyvo", "tornado"),
            "threadpoolctl",
        },
    ),
    "commands": (
        SCIENCE
        | {
            "classification",
            "deconvolution",
            "emulation",
            "evaluation",
            "pipeline",
            "tables",
            "labels",
        },
        {"numpy", "typer", "rich", "astropy", "pyarrow"},
    ),
    "cli": (BASE | {"commands"}, {"typer"}),
    "": (SCIENCE | {"api", "classification", "deconvolution", "emulation", "utils"}, set()),
}
# Modules that may do more than their room, and modules that may do less.
MORE = {"commands.serve": {"explorer", "panel"}, "commands.report": {"explorer"}, "": {"explorer"}}
LESS = {
    "explorer.state": {"panel", "bokeh", "holoviews"},
    "explorer.display": {"panel", "holoviews"},
    "explorer.plots": {"panel"},
}
GALSIM_ROOM = re.compile(r"survey\.(simulat|telescopes)|emulation\.(cameras|output)")


def module_name(path: Path) -> str:
    """`galaxy_explorer/survey/store.py` is `survey.store`."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def room_of(name: str) -> str:
    """The first part of a module's name; `bundle_files` and the like belong to `bundle`."""
    room = name.partition(".")[0]
    return room if room in ARROWS else room.partition("_")[0]


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything a file imports, wherever in the file it does so."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"


def forbidden(path: Path) -> Iterator[str]:
    name = module_name(path)
    rooms, libraries = ARROWS[room_of(name)]
    rooms = rooms | MORE.get(name, set()) | {room_of(name)}
    for line, imported in imports(path):
        top, _, rest = imported.partition(".")
        if top == "galaxy_explorer":
            allowed = room_of(rest) in rooms or rest == "__version__"
        elif top == "galsim":
            allowed = bool(GALSIM_ROOM.match(name))
        else:
            allowed = (
                top in libraries | MORE.get(name, set()) - LESS.get(name.partition("_")[0], set())
                or top in sys.stdlib_module_names
            )
        if not allowed:
            yield f"line {line}: {name} may not import {imported}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_follow_the_arrows(path: Path) -> None:
    assert list(forbidden(path)) == []


def test_the_arrows_have_no_way_round() -> None:
    """Survey, models and clustering know nothing of each other; few commands know the app."""
    for room in ("survey", "models", "clustering"):
        assert not ARROWS[room][0] & {"survey", "models", "clustering", "bundle", "explorer"}
    assert not any("explorer" in rooms for rooms, _ in ARROWS.values())
    assert set(MORE) == {"commands.serve", "commands.report", ""}


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("galaxy_explorer", ("torch", "panel", "bokeh", "pandas", "sklearn", "umap", "galsim")),
        ("galaxy_explorer.cli", ("torch", "panel", "bokeh", "pandas", "sklearn", "umap", "galsim")),
        (
            "galaxy_explorer.bundle.bundle",
            ("torch", "panel", "pandas", "sklearn", "umap", "galsim"),
        ),
        ("galaxy_explorer.explorer.state", ("torch", "panel", "sklearn", "umap")),
    ],
)
def test_slow_libraries_are_not_imported_before_they_are_used(module: str, absent: tuple) -> None:
    code = f"import sys, {module}; print(*sorted(set({absent!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", EVERYTHING, ids=relative)
def test_no_file_is_too_long(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


def test_the_app_only_joins_its_parts() -> None:
    app = ROOT / "app.py"
    assert len(app.read_text().splitlines()) <= MAX_APP_LINES
    assert next(functions(app), None) is None


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, Function):
            yield node


def is_command(path: Path, function: Function) -> bool:
    """Whether a function is a command: its arguments are the options, one each."""
    options = path == PACKAGE / "api.py" and not function.name.startswith("_")
    return options or (path.parent.name == "commands" and function.name == path.stem)


def length(path: Path, function: Function) -> int:
    """Lines without the docstring; of a command, without its options too."""
    documented = ast.get_docstring(function) is not None
    start = function.body[0].lineno if is_command(path, function) else function.lineno
    docstring = function.body[0]
    drop = (docstring.end_lineno or 0) - docstring.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - start + 1 - drop


def argument_count(function: Function) -> int:
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return len([argument for argument in named if argument.arg not in {"self", "cls"}])


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_no_function_is_too_long_or_asks_too_much(path: Path) -> None:
    for function in functions(path):
        where = f"{path.name}:{function.lineno} {function.name}"
        assert length(path, function) <= MAX_FUNCTION_LINES, where
        assert is_command(path, function) or argument_count(function) <= MAX_ARGUMENTS, where


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_says_what_it_is(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    if next(functions(path), None) is not None:
        assert any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body)


@pytest.fixture(scope="module")
def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: what is tracked cannot be told")
    return [path for name in listed.stdout.decode().split("\0") if (path := ROOT / name).is_file()]


def test_no_survey_pixels_are_tracked(tracked: list[Path]) -> None:
    outside = [path for path in tracked if ROOT / "tests" not in path.parents]
    pictures = (".jpg", ".jpeg", ".fits", ".fit", ".fits.gz", ".zarr", ".npy")
    assert [path for path in outside if path.name.lower().endswith(pictures)] == []


def test_no_tracked_file_is_large(tracked: list[Path]) -> None:
    allowed = {path: 5 if ROOT / "trained" not in path.parents else 20 for path in tracked}
    assert [p for p, megabytes in allowed.items() if p.stat().st_size > megabytes * 1e6] == []


def test_no_text_names_one_machine_or_a_package_index(tracked: list[Path]) -> None:
    local = re.compile(rb"(?<![\w.])/(?:work|tmp|root|home|Users|farm)/\w")
    index = re.compile(rb"(?:pypi|pythonhosted|pytorch|npmjs)\.(?:org|com)\b", re.IGNORECASE)
    texts = {path: path.read_bytes() for path in tracked if path.stat().st_size < 1 << 20}
    named = [path for path, text in texts.items() if local.search(text) or index.search(text)]
    assert [path for path in named if b"\0" not in texts[path]] == []
