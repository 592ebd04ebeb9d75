"""The explorer: `panel serve app.py --plugins galaxy_explorer.explorer.routes`."""

import panel as pn

from galaxy_explorer.explorer.app import main_page

pn.extension(notifications=True, reconnect=True)
main_page().servable()
