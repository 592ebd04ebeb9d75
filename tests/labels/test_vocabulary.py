from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxy_explorer.errors import LabelError
from galaxy_explorer.labels.scheme import DEFAULT, MAX_LABEL, LabelScheme, Term, checked


def test_the_default_has_the_ten_stages_and_the_features():
    stages = [term.ttype for term in DEFAULT.terms if term.kind == "stage"]
    assert stages == list(range(-3, 7))
    features = {term.label for term in DEFAULT.terms if term.kind != "stage"}
    assert features == {"bar", "ring", "merger", "edge-on", "artefact", "unsure"}


def test_stages_are_one_aspect_and_every_feature_its_own():
    assert {term.aspect for term in DEFAULT.terms if term.kind == "stage"} == {"stage"}
    assert DEFAULT.find("bar").aspect == "bar"
    assert np.isnan(DEFAULT.find("bar").ttype)


def test_a_vocabulary_survives_json_and_lines():
    assert LabelScheme.from_json(DEFAULT.to_json(), 1) == DEFAULT
    assert LabelScheme.from_lines(DEFAULT.to_lines()) == DEFAULT


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("shell; b; shell; feature", "both bar and shell"),
        ("shell; B; shell; feature", "both bar and shell"),
        ("bar; s; bar; feature", "appears twice"),
        ("shell; ?; shell; feature", "one character, none of"),
        ("shell; z; shell; feature", "one character, none of"),
        ("shell; ss; shell; feature", "one character, none of"),
        ("shell; s; shell; colour", "one of stage"),
        ("stage; s; stage; feature", "choose another word"),
        ("shell; s; shell", "3 parts"),
        ("; s; shell; feature", "empty"),
    ],
)
def test_a_line_that_cannot_be_is_refused_with_the_reason(line, reason):
    with pytest.raises(LabelError, match=reason):
        LabelScheme.from_lines(f"{DEFAULT.to_lines()}\n{line}")


def test_an_empty_vocabulary_is_refused():
    with pytest.raises(LabelError, match="0 terms"):
        LabelScheme.from_lines("\n\n")


@given(st.text(max_size=80))
def test_text_comes_back_unchanged_or_is_refused(text):
    try:
        stored = checked(text, "label", MAX_LABEL)
    except LabelError:
        return
    assert stored == text == text.strip()
    assert text.encode().decode() == text
    assert text.splitlines() == [text]


@pytest.mark.parametrize("text", ["a bar", "Sb–Sbc", "棒状", "é", "👩‍🚀", "<b>", "'; DROP"])
def test_words_of_any_script_are_taken(text):
    assert checked(text, "label", MAX_LABEL) == text


def test_a_term_of_another_number_is_no_stage_number():
    assert np.isnan(Term("T¹", "t", "odd", "stage").ttype)
    assert np.isnan(Term("T", "t", "odd", "stage").ttype)
    assert Term("T-5", "t", "E", "stage").ttype == -5
