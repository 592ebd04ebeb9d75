"""Where the label log lies unless a setting says otherwise."""

from __future__ import annotations

from pathlib import Path


def log_path(setting: str) -> Path:
    """The path of a setting; empty: `labels.db` in the user's data folder."""
    if setting:
        return Path(setting)
    import platformdirs

    return Path(platformdirs.user_data_dir("galaxy_explorer")) / "labels.db"
