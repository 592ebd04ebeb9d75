"""The public name of the plug-in: `panel serve --plugins galaxy_explorer.explorer.routes`."""

from galaxy_explorer.explorer.server.routes import ROUTES

__all__ = ["ROUTES"]
