"""The quantized scope is switched back whatever happens in it."""

from __future__ import annotations

import larq.context
import pytest

from burn_tf._compat import quantized_scope


def test_scope_ends_after_an_exception() -> None:
    with pytest.raises(RuntimeError, match="inside"), quantized_scope(True):
        assert larq.context.should_quantize()
        raise RuntimeError("inside")
    assert not larq.context.should_quantize()


def test_scopes_nest() -> None:
    with quantized_scope(True):
        with quantized_scope(False):
            assert not larq.context.should_quantize()
        assert larq.context.should_quantize()
    assert not larq.context.should_quantize()
