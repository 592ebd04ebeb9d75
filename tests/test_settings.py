"""Settings: read once, refused by name when wrong, listed in the documentation."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxy_explorer.errors import GalaxyExplorerError, SettingError
from galaxy_explorer.settings import PREFIX, SETTINGS, Settings, read_settings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
NUMBERS = [s for s in SETTINGS if isinstance(s.default, int)]
TEXTS = [s for s in SETTINGS if isinstance(s.default, str)]


def variable(name: str) -> str:
    return PREFIX + name.upper()


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = read_settings({})
    assert {s.name: getattr(settings, s.name) for s in SETTINGS} == {
        s.name: s.default for s in SETTINGS
    }


def test_the_table_and_the_class_name_the_same_settings() -> None:
    assert [field.name for field in fields(Settings)] == [s.name for s in SETTINGS]


def test_a_text_setting_is_taken_as_it_is() -> None:
    value = " a path with spaces/ü "
    read = read_settings({variable(setting.name): value for setting in TEXTS})
    assert {getattr(read, setting.name) for setting in TEXTS} == {value}


@pytest.mark.parametrize("value", ["", "-1", "1.5", "one", "1e3", "0x1", " 1", "nan"])
def test_what_is_no_whole_number_is_refused_by_name(value: str) -> None:
    for setting in NUMBERS:
        with pytest.raises(SettingError) as caught:
            read_settings({variable(setting.name): value})
        assert variable(setting.name) in str(caught.value)
        assert setting.unit in str(caught.value)


@given(st.text(alphabet=st.characters(codec="ascii", categories=["Lu"]), min_size=1, max_size=12))
def test_a_misspelt_setting_is_refused_by_name_with_the_known_ones(name: str) -> None:
    if name.lower() in {s.name for s in SETTINGS}:
        return
    with pytest.raises(SettingError) as caught:
        read_settings({PREFIX + name: "1"})
    assert PREFIX + name in str(caught.value)
    assert all(variable(s.name) in str(caught.value) for s in SETTINGS)


def test_variables_of_other_programs_are_left_alone() -> None:
    assert read_settings({"BOKEH_LOG_LEVEL": "debug", "GALAXY": "1"}) == read_settings({})


def test_the_process_environment_is_read_when_none_is_given(monkeypatch) -> None:
    monkeypatch.setenv(variable("bundle"), "elsewhere")
    assert read_settings().bundle == "elsewhere"


def test_a_setting_error_is_one_of_the_packages_errors() -> None:
    assert issubclass(SettingError, GalaxyExplorerError)


def test_the_page_lists_every_setting_with_its_default_and_unit() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    listed = {row[0]: row[1:4] for row in rows if row[0].startswith(PREFIX)}
    assert listed == {variable(s.name): [str(s.default), s.unit, s.range] for s in SETTINGS}


@pytest.mark.parametrize("setting", NUMBERS, ids=lambda setting: setting.name)
def test_a_number_out_of_its_range_is_refused_with_the_range(setting) -> None:
    assert setting.least <= setting.default <= setting.most
    for inside in (setting.least, setting.most):
        read = read_settings({variable(setting.name): str(inside)})
        assert getattr(read, setting.name) == inside
    for outside in (setting.most + 1, 10**30):
        with pytest.raises(SettingError, match=setting.range):
            read_settings({variable(setting.name): str(outside)})
