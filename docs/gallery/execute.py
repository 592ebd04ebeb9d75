"""Run the notebooks of the gallery and store what they show: `python docs/gallery/execute.py`.

NAME...: only these, such as explore. Ends with the error of the first notebook that has one.
"""

from __future__ import annotations

import argparse
import base64
import io
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

FOLDER = Path(__file__).resolve().parent
LIMIT_S = 900
PNG, JPEG = "image/png", "image/jpeg"


def as_jpeg(picture: str) -> str:
    """A PNG as JPEG, both in base64: a fifth of the bytes where it shows galaxies."""
    stream = io.BytesIO()
    opened = Image.open(io.BytesIO(base64.b64decode(picture)))
    opened.convert("RGB").save(stream, "JPEG", quality=85)
    return base64.b64encode(stream.getvalue()).decode()


def execute(path: Path) -> None:
    """Run a notebook from nothing and keep code, text, results and pictures, nothing of the run."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    resources = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, timeout=LIMIT_S, resources=resources).execute()
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    for cell in notebook.cells:
        cell.metadata = {}
        if cell.cell_type == "code":  # progress goes to stderr
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
            for one in cell.outputs:
                if PNG in one.get("data", {}):
                    one.data[JPEG] = as_jpeg(one.data.pop(PNG))
    nbformat.write(notebook, path)


def main() -> None:
    """Run those that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks, without .ipynb; else all")
    names = parser.parse_args().names or sorted(path.stem for path in FOLDER.glob("*.ipynb"))
    for name in names:
        execute(FOLDER / f"{name}.ipynb")
        print(f"{name}: executed")


if __name__ == "__main__":
    main()
