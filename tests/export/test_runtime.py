"""The runtime that a file needs is told from the file, and it computes what Keras does."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from burn_tf._checks import UserError
from burn_tf.export.runtime import load_runtime, runtime_of
from tests.export import stock_files


def test_the_runtime_is_told_from_the_operators(exported):
    assert runtime_of(exported.flatbuffer) == "lce"
    assert runtime_of(stock_files.float_file()) == "litert"


def test_an_lce_file_computes_what_keras_does(exported, model, images):
    loaded = load_runtime(exported.flatbuffer)
    assert loaded.name == "lce" and loaded.input_dtype == np.float32
    assert loaded.input_shape == (1, 10, 10, 3) and loaded.output_shape == (1, 7)
    outputs = loaded.run(images[:6])
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, model(images[:6]), atol=1e-3)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_stock_file_computes_what_keras_does(num_threads):
    loaded = load_runtime(stock_files.float_file(), num_threads=num_threads)
    assert (loaded.name, loaded.output_shapes) == ("litert", ((1, 5),))
    pictures = stock_files.pictures(6)
    outputs = loaded.run(pictures.astype(np.float64))
    np.testing.assert_allclose(outputs, stock_files.float_model()(pictures), atol=1e-4)


def test_integer_outputs_are_multiplied_out():
    loaded = load_runtime(stock_files.int8_file())
    scale, zero_point = loaded.input_quantization
    assert loaded.input_dtype == np.int8 and scale > 0
    pictures = stock_files.pictures(24)
    steps = np.clip(np.round(pictures / scale) + zero_point, -128, 127).astype(np.int8)
    expected = np.asarray(stock_files.float_model()(pictures))
    outputs = loaded.run(steps)
    assert outputs.dtype == np.float32
    # 255 steps span the outputs of the calibration; rounding moves them by few of these.
    assert np.abs(outputs - expected).max() < 12 * np.ptp(expected) / 255
    assert len(np.unique(np.round(outputs, 6))) > 40


def test_several_outputs():
    loaded = load_runtime(stock_files.divided_file())
    pictures = stock_files.pictures(3)
    outputs = loaded.run_all(pictures)
    assert sorted(output.shape for output in outputs) == [(3, 4, 4, 2), (3, 144)]
    alone = loaded.run_all(pictures[1:2])
    for together, one in zip(outputs, alone, strict=True):
        np.testing.assert_array_equal(together[1], one[0])
    with pytest.raises(UserError, match=r"use `run_all`\. Received: a file of 2 outputs"):
        loaded.run(pictures)


def test_results_outlive_the_next_run():
    loaded = load_runtime(stock_files.float_file())
    first = loaded.run(stock_files.pictures(1))
    kept = first.copy()
    loaded.run(stock_files.pictures(2)[1:])
    np.testing.assert_array_equal(first, kept)


def test_invoke_runs_on_the_last_image(exported):
    for data in (exported.flatbuffer, stock_files.float_file()):
        loaded = load_runtime(data)
        loaded.invoke()
        images = np.ones([1, *loaded.input_shape[1:]], np.float32)
        before = loaded.run(images)
        loaded.invoke()
        np.testing.assert_array_equal(loaded.run(images), before)


def test_the_wrong_runtime_is_explained(exported):
    with pytest.raises(UserError) as lce:
        load_runtime(exported.flatbuffer, runtime="litert")
    assert "2 LceBconv2d" in str(lce.value) and "target litert" in str(lce.value)
    assert "pip install larq-compute-engine" in str(lce.value)
    with pytest.raises(UserError, match="pip install ai-edge-litert and runtime='litert'") as stock:
        load_runtime(stock_files.float_file(), runtime="lce")
    for error in (lce, stock):
        assert "\n" not in str(error.value)
        assert str(error.value).endswith(
            "Received: runtime='lce'" if error is stock else "Received: runtime='litert'"
        )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "bytes of a .tflite file"),
        (b"PK\x03\x04 not a model", "bytes of a .tflite file"),
        ("model.tflite", "bytes of a .tflite file. Received: str"),
    ],
)
def test_other_bytes_are_refused(data, message):
    with pytest.raises(UserError, match=message):
        load_runtime(data)


@pytest.mark.parametrize("kept", [9, 100, 0.5, 0.99])
def test_a_truncated_file_is_one_line(kept):
    whole = stock_files.float_file()
    length = kept if isinstance(kept, int) else int(kept * len(whole))
    with pytest.raises(UserError) as error:
        load_runtime(whole[:length])
    assert "\n" not in str(error.value) and "export it again" in str(error.value)


@pytest.mark.parametrize("name", ["lce", "litert"])
def test_a_missing_package_is_named(name, exported, monkeypatch):
    package = {"lce": "larq_compute_engine", "litert": "ai_edge_litert"}[name]
    data = exported.flatbuffer if name == "lce" else stock_files.float_file()
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=f"pip install {package.replace('_', '-')}"):
        load_runtime(data)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros([2, 8, 8, 3], np.uint8),
        np.zeros([2, 9, 8, 3], np.float32),
        np.zeros([0, 8, 8, 3], np.float32),
        np.zeros([8, 8, 3], np.float32),
    ],
)
def test_images_must_fit_the_file(wrong):
    with pytest.raises(UserError, match=r"`images` must be float32 \[N, 8, 8, 3\]"):
        load_runtime(stock_files.float_file()).run(wrong)


def test_arguments():
    with pytest.raises(UserError, match="`num_threads`"):
        load_runtime(stock_files.float_file(), num_threads=0)
    with pytest.raises(UserError, match=r"`num_threads` .* value <= 1024"):
        load_runtime(stock_files.float_file(), num_threads=99999)
    with pytest.raises(UserError, match="Did you mean 'litert'"):
        load_runtime(stock_files.float_file(), runtime="litret")


def test_kernels_of_both(exported):
    assert load_runtime(stock_files.float_file()).kernels().others == {}
    assert load_runtime(exported.flatbuffer).kernels().others["CONV_2D"] == 1
