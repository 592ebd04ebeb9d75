"""How Sphinx makes pages of this folder: `make docs`. Nothing is fetched and no notebook is run."""

from __future__ import annotations

import inspect

from sphinx.application import Sphinx

project = "Galaxy Explorer"
author = "the galaxy_explorer developers"
project_copyright = "the galaxy_explorer developers, BSD-3-Clause"

extensions = ["myst_nb", "sphinx.ext.autodoc"]
exclude_patterns = ["**/.ipynb_checkpoints"]

# Notebooks are shown as they are stored; docs/gallery/execute.py runs them.
nb_execution_mode = "off"
myst_enable_extensions = ["deflist", "fieldlist"]
myst_heading_anchors = 3
myst_links_external_new_tab = False

default_role = "code"  # docstrings are Markdown's way of writing code
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = "Galaxy Explorer"
html_show_sourcelink = False
html_copy_source = False


def described_commands() -> str:
    """Every command of the command line with its options, in Markdown, from the code itself."""
    import typer

    from galaxy_explorer.cli import COMMANDS, app

    known, parts = typer.main.get_command(app).commands, []
    for name in COMMANDS:
        command = known[name]
        text, _, examples = inspect.cleandoc(command.help).partition("[bold]Example")
        lines = [" ".join(one.split()) for one in examples.split("\n\n")[1:]]
        parts += [f"## {name}", text.strip(), *(f"    {line}" for line in lines)]
        rows = []
        for one in command.params:
            if not {"--help", "--quiet"} & set(one.opts):
                words = ", ".join((*one.opts, *one.secondary_opts))
                words = words if words.startswith("-") else words.upper()
                rows.append(f"| `{words}` | {(one.help or '').replace('|', '/')} |")
        parts.append("\n".join(["| option | |", "|---|---|", *rows]))
    return "\n\n".join(parts)


def fill_commands(_: Sphinx, docname: str, source: list[str]) -> None:
    """Put the commands into their page."""
    if docname == "commands":
        source[0] = source[0].replace("<!-- the commands -->", described_commands())


def setup(app: Sphinx) -> None:
    """What Sphinx calls first."""
    app.connect("source-read", fill_commands)
