"""The documentation: it builds, and every command, option and name in it exists."""

from __future__ import annotations

import html.parser
import importlib.util
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import galaxy_explorer as ge
from benchmarks.screenshots import DOCS_PICTURES
from galaxy_explorer.cli import app
from galaxy_explorer.explorer.pages.registry import PAGES

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TEXTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", *sorted(DOCS.rglob("*.md")))
}
COMMANDS = typer.main.get_command(app).commands
OPTIONS = {
    name: {option for one in command.params for option in (*one.opts, *one.secondary_opts)}
    for name, command in COMMANDS.items()
}
LINE = re.compile(r"(?:^ {0,4}|`)galaxy-explorer ([a-z][a-z-]*[^`\n]*)", re.MULTILINE)
OTHERS = frozenset(
    (
        *("--index-url", "--version", "--rm", "--out"),  # of pip and docker, of all commands
        *("--n", "--nworkers", "--nthreads"),  # of docs/galsim_scene.py and of dask
    )
)
MOST_PICTURES = 3_000_000
MOST_NOTEBOOK = 600_000


def commands_of(text: str) -> list[tuple[str, list[str]]]:
    """Command lines of the command line, by name and words; comments and "..." left out."""
    joined = re.sub(r"`galaxy-explorer[^`]*`", lambda m: " ".join(m[0].split()), text)
    found = []
    for line in LINE.findall(joined):
        name, *words = shlex.split(line.replace("$(", "("), comments=True)
        found.append((name, words))
    return found


def test_every_command_and_option_that_is_shown_exists() -> None:
    wrong = []
    count = 0
    for text, content in TEXTS.items():
        for name, words in commands_of(content):
            if name not in COMMANDS:
                wrong.append(f"{text}: galaxy-explorer {name}")
                continue
            count += 1
            wrong += [
                f"{text}: galaxy-explorer {name} {word}"
                for word in words
                if re.match(r"--?[a-z]", word) and word not in OPTIONS[name]
            ]
    assert wrong == []
    assert count > 50


def test_every_option_that_a_text_names_is_one_of_some_command() -> None:
    known = OTHERS.union(*OPTIONS.values())
    wrong = [
        f"{text}: {option}"
        for text, content in TEXTS.items()
        if not text.endswith(
            ("serving.md", "benchmarks.md", "cluster.md")
        )  # panel's options; see test_deployment
        for line in content.splitlines()
        if not re.match(r" {4}(?:pip|docker|panel|GALAXY)", line)
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)
        if option not in known
    ]
    assert wrong == []


def test_every_public_name_is_in_the_reference_and_no_other() -> None:
    listed = re.findall(r"^\.\. auto\w+:: (\w+)$", TEXTS["docs/api.md"], re.MULTILINE)
    assert sorted(listed) == sorted(set(ge.__all__) - {"__version__"})


def test_functions_that_the_texts_use_are_public() -> None:
    used = {name for text in TEXTS.values() for name in re.findall(r"\bge\.([A-Za-z_]+)", text)}
    assert used - set(ge.__all__) == set()
    assert len(used) > 5


def test_every_page_is_in_a_toctree() -> None:
    named = set()
    for text, content in TEXTS.items():
        folder = Path(text).parent
        for block in re.findall(r"```{toctree}\n(.*?)```", content, re.DOTALL):
            for line in block.splitlines():
                if line and not line.startswith(":"):
                    pattern = line[1:] if line[0] == "/" else folder.relative_to("docs") / line
                    named |= {str(path.relative_to(DOCS)) for path in DOCS.glob(f"{pattern}.*")}
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")}
    pages |= {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.ipynb")}
    assert pages - named == {"index.md"}


def test_pictures_are_those_that_the_script_makes_and_small() -> None:
    shown = {
        name for text in TEXTS.values() for name in re.findall(r"pictures/([\w-]+)\.webp", text)
    }
    files = {path.stem: path.stat().st_size for path in (DOCS / "pictures").iterdir()}
    assert shown == set(DOCS_PICTURES) == set(files)
    assert sum(files.values()) < MOST_PICTURES


def test_pictures_show_pages_and_galaxies_of_the_demo() -> None:
    demo = ge.load_demo()
    for query in DOCS_PICTURES.values():
        asked = dict(part.split("=") for part in query.split("&"))
        assert asked["page"] in PAGES
        assert asked.get("galaxy", "NGC3893") in demo.column("galaxy_id")
        assert asked.get("colour", "ttype") in demo.column_names


@pytest.mark.parametrize("path", sorted(DOCS.rglob("*.ipynb")), ids=lambda path: path.stem)
def test_notebooks_are_stored_with_what_they_show(path: Path) -> None:
    assert path.stat().st_size < MOST_NOTEBOOK
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert [o for o in outputs if "image/jpeg" in o.get("data", {})]


class Foreign(html.parser.HTMLParser):
    """What a page loads from elsewhere by itself: scripts, styles, pictures, frames."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Links to click are no loading."""
        if tag in {"script", "link", "img", "iframe"}:
            urls = [value or "" for name, value in attrs if name in {"src", "href"}]
            self.found += [url for url in urls if "//" in url]


@pytest.mark.slow
def test_it_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("Sphinx is not installed: pip install -e '.[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", tmp_path / "trees",
         DOCS, tmp_path / "pages"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = sorted((tmp_path / "pages").rglob("*.html"))
    assert len(pages) > 30
    assert (tmp_path / "pages" / "how-to" / "mosaic.html").exists()
    foreign = {}
    for page in pages:
        parser = Foreign()
        parser.feed(page.read_text(encoding="utf-8"))
        if parser.found:
            foreign[page.name] = parser.found
    assert foreign == {}
    api = (tmp_path / "pages" / "api.html").read_text(encoding="utf-8")
    absent = [name for name in ge.__all__ if f"galaxy_explorer.{name}" not in api]
    assert absent == ["__version__"]
    commands = (tmp_path / "pages" / "commands.html").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f'id="{name}"' not in commands] == []
