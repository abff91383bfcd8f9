"""Markup is well-formed whatever the text, and shortened texts fit."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from hypothesis import given
from hypothesis import strategies as st

from burn_tf.report.svg import clean, element, fit_text, label, number, text_width


@given(st.text(st.characters(), max_size=30))
def test_any_text_survives_escaping(text: str):
    markup = element("g", label(text, 1.0, 2.0), data_name=text)
    group = ElementTree.fromstring(markup.encode("utf-8"))
    shown = group[0].text or ""
    # XML reads every line ending as a line feed.
    assert shown == clean(text).replace("\r\n", "\n").replace("\r", "\n")


def test_surrogates_and_control_characters_are_replaced():
    assert clean("a\x00b\ud800c\x1b[31m") == "a\ufffdb\ufffdc\ufffd[31m"


def test_attributes():
    markup = element("rect", class_="bar", stroke_width=2, x=1.0, y=0.125, rx=None)
    assert markup == '<rect class="bar" stroke-width="2" x="1" y="0.12"/>'


def test_number_has_no_negative_zero():
    assert [number(v) for v in (-0.001, 12.5, 3.14159, 100.0)] == ["0", "12.5", "3.14", "100"]


def test_text_width_counts_wide_scripts_double_and_marks_not():
    assert text_width("漢字") == 24.0
    assert text_width("é") == text_width("e\u0301")


@given(st.text(max_size=80), st.floats(20.0, 400.0))
def test_fitted_text_fits(text: str, width: float):
    assert text_width(fit_text(text, width)) <= width


def test_fit_text_says_that_it_cut():
    assert fit_text("short", 200.0) == "short"
    assert fit_text("a text much too long for this", 60.0).endswith("…")
