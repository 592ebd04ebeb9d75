"""The explorer: `panel serve app.py`, from any folder."""

from pathlib import Path

import panel as pn

from galaxy_explorer.explorer.app import main_page

pn.extension(notifications=True, reconnect=True)
main_page(Path(__file__).resolve().parent).servable()
