"""Features that are computed once: right beside their views, in every run, after every mishap."""

from __future__ import annotations

import collections
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf._file_lock import hold_lock
from burn_tf.cli.main import main
from burn_tf.data import Source, load_source
from burn_tf.recipes import Recipe, get_recipe, override
from burn_tf.training import CachedFeatures, TeacherCache, pretrain, teacher_cache
from burn_tf.training.feature_table import FeatureTable
from burn_tf.training.run import training_views
from burn_tf.training.view_features import ViewFeatures

IMAGES = 12
KERNEL = np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32)
TWO_VIEWS = ["views.num_views=2", "views.image_size=8", "views.policy=cifar,digits", "batch_size=4"]


def mean_teacher() -> tf.keras.Model:
    """Mean colour, times a matrix."""
    images = tf.keras.Input((8, 8, 3))
    colour = tf.keras.layers.GlobalAveragePooling2D()(images)
    model = tf.keras.Model(images, tf.keras.layers.Dense(5, use_bias=False)(colour))
    model.set_weights([KERNEL])
    return model


@pytest.fixture(scope="module")
def source() -> Source:
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, 10, 9, 3), dtype=np.uint8)
    return Source.from_array(pixels)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return override(get_recipe("burn_digits"), TWO_VIEWS)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, tuple[int, int, int]]]:
    """View and piece of everything that is computed and kept."""
    seen: list[tuple[int, tuple[int, int, int]]] = []
    original = ViewFeatures.fill

    def fill(self: ViewFeatures) -> Iterator[int]:
        missing = self.table.missing()
        for number, count in enumerate(original(self)):
            seen.append((self.number, missing[number]))
            yield count

    monkeypatch.setattr(ViewFeatures, "fill", fill)
    return seen


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of 5 rows: three for each draw."""
    original: Any = FeatureTable.__init__

    def init(self: FeatureTable, *given: Any) -> None:
        original(self, *given[:5], 50)

    monkeypatch.setattr(FeatureTable, "__init__", init)


def kept(
    folder: Path, recipe: Recipe, source: Source, views: int = 4, **more: Any
) -> tuple[CachedFeatures, str]:
    said = io.StringIO()
    cache = TeacherCache(folder, views)
    return cache.features(mean_teacher(), recipe, source, said, **more), said.getvalue()


def test_features_are_those_of_the_views_beside_them(
    tmp_path: Path, recipe: Recipe, source: Source
) -> None:
    features, _ = kept(tmp_path, recipe, source)
    views = features.attach(training_views(recipe, source, epochs=4, draws=2))
    assert views.element_spec[2] == tf.TensorSpec([4, 5], tf.float16)
    batches = [[tensor.numpy() for tensor in batch] for batch in views]
    seen = collections.Counter[bytes]()
    for first, second, *given in batches:
        for view, found in zip((first, second), given, strict=True):
            wanted = view.mean(axis=(1, 2)) @ KERNEL
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
            seen.update(image.tobytes() for image in view)
    # 2 draws of 2 views of each image, each of them shown in 2 of the 4 epochs.
    assert len(seen) == 4 * IMAGES and set(seen.values()) == {2}
    # A run that goes on at update 7 has what is left, bit for bit.
    left = features.attach(training_views(recipe, source, epochs=4, start_step=7, draws=2))
    for wanted, found in zip(batches[7:], left, strict=True):
        for a, b in zip(wanted, found, strict=True):
            np.testing.assert_array_equal(a, b)


def test_are_computed_once_and_shared(
    tmp_path: Path,
    recipe: Recipe,
    source: Source,
    computed: list[tuple[int, tuple[int, int, int]]],
) -> None:
    _, said = kept(tmp_path / "new", recipe, source)
    assert said.splitlines()[0] == (
        f"teacher features in {tmp_path / 'new'}: 12 images x 4 views x 5 x 2 bytes = 480 bytes, "
        "480 bytes of it to compute"
    )
    assert computed == [(v, (d, 0, 12)) for v in (0, 1) for d in (0, 1)]
    _, said = kept(tmp_path / "new", recipe, source, fill=False)
    assert said == "" and len(computed) == 4
    # A third draw, for another student; then its first view alone.
    student = override(recipe, ["backbone.width=0.125", "method.num_outputs=9"])
    kept(tmp_path / "new", student, source, views=6)
    assert computed[4:] == [(0, (2, 0, 12)), (1, (2, 0, 12))]
    alone = override(recipe, ["views.num_views=1", "views.policy=cifar"])
    kept(tmp_path / "new", alone, source, views=3)
    assert len(computed) == 6


def test_what_was_cut_off_goes_on(
    tmp_path: Path,
    recipe: Recipe,
    source: Source,
    computed: list[tuple[int, tuple[int, int, int]]],
    small_files: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = override(recipe, ["views.num_views=1", "views.policy=cifar"])
    whole, _ = kept(tmp_path / "whole", one, source, views=2)
    computed.clear()
    write = FeatureTable.write

    def cut(self: FeatureTable, piece: tuple[int, int, int], rows: np.ndarray) -> None:
        if piece == (1, 5, 10):
            raise KeyboardInterrupt
        write(self, piece, rows)

    monkeypatch.setattr(FeatureTable, "write", cut)
    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path / "cut", one, source, views=2)
    monkeypatch.setattr(FeatureTable, "write", write)
    assert computed == [(0, (0, 0, 5)), (0, (0, 5, 10)), (0, (0, 10, 12)), (0, (1, 0, 5))]
    rest, said = kept(tmp_path / "cut", one, source, views=2)
    assert computed[4:] == [(0, (1, 5, 10)), (0, (1, 10, 12))]
    assert "x 2 bytes = 240 bytes, 70 bytes of it to compute" in said
    places = np.arange(2 * IMAGES)
    np.testing.assert_array_equal(whole.rows(places)[0], rest.rows(places)[0])


def test_another_process_at_work_is_waited_for(
    tmp_path: Path,
    recipe: Recipe,
    source: Source,
    computed: list[tuple[int, tuple[int, int, int]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = override(recipe, ["views.num_views=1", "views.policy=cifar"])
    table = kept(tmp_path, one, source, views=1)[0].tables[0]
    place = table.path((0, 0, 12))
    place.rename(tmp_path / "made")
    held, begun = threading.Event(), threading.Event()

    def other() -> None:
        with hold_lock(table.folder / ".lock", 0):
            held.set()
            begun.wait(20)
            (tmp_path / "made").rename(place)

    thread = threading.Thread(target=other)
    thread.start()
    held.wait(20)

    def opened(*given: Any) -> None:
        """What there is has been looked at by now."""
        begun.set()

    monkeypatch.setattr(teacher_cache, "_check_space", opened)
    _, text = kept(tmp_path, one, source, views=1)
    thread.join()
    assert len(computed) == 1 and not (tmp_path / "made").exists()
    assert "another process fills" in text or "0/0" in text


def test_a_full_disk_is_seen_before(
    tmp_path: Path, recipe: Recipe, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = collections.namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(teacher_cache.shutil, "disk_usage", lambda path: usage(0, 0, 479))
    with pytest.raises(UserError, match=r"needs 480 bytes: .*with 479 bytes free"):
        kept(tmp_path / "new", recipe, source)
    assert not (tmp_path / "new").exists()


def test_a_disk_that_fills_up_and_a_folder_that_is_none(
    tmp_path: Path, recipe: Recipe, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="`teacher_cache` must be a folder to write to"):
        kept(tmp_path / "file", recipe, source)

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FeatureTable, "write", full)
    with pytest.raises(UserError, match=r"enough space.*\(No space left on device\)"):
        kept(tmp_path / "new", recipe, source)


def test_refusals(tmp_path: Path, recipe: Recipe, source: Source) -> None:
    with pytest.raises(UserError, match=r"multiple of .* 2\. Received: 3"):
        kept(tmp_path, recipe, source, views=3)
    with pytest.raises(UserError, match=r"must be left out for a method .* with MSBReg"):
        TeacherCache(tmp_path, 2).draws(get_recipe("msbreg_digits"))
    with pytest.raises(UserError, match="`cached_views` must be a whole number"):
        TeacherCache(tmp_path, 0)
    with pytest.raises(UserError, match="must be a folder that all workers share"):
        kept(tmp_path, recipe, source, fill=False)


SMALL = [
    "backbone.name=reactnet_tiny",
    "backbone.width=1",
    "batch_size=8",
    "epochs=1",
    "max_steps=2",
    "method.hidden_dim=8",
    "method.num_outputs=8",
    # Steps so small that no sign flips: one that does changes the loss by more than float16 does.
    "optimizer.learning_rate=1e-7",
]


@pytest.fixture
def trained(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Trains BURN on digits in a folder of that name; gives what was logged at each step."""
    images = tf.keras.Input((16, 16, 3))
    maps = tf.keras.layers.Conv2D(6, 3, 2, activation="relu")(images)
    teacher = tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(maps))
    teacher.save(tmp_path / "teacher.keras")

    def train(name: str, *settings: str, cache: TeacherCache | None = None) -> list[dict[str, Any]]:
        given = [*SMALL, f"teacher.weights={tmp_path / 'teacher.keras'}", *settings]
        recipe = override(get_recipe("burn_digits"), given)
        digits = load_source("synthetic:32")
        pretrain(recipe, digits, tmp_path / name, stream=io.StringIO(), teacher_cache=cache)
        lines = (tmp_path / name / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    return train


@pytest.mark.slow
def test_both_stages_learn_as_without_a_cache(
    trained: Callable[..., list[dict[str, Any]]],
    tmp_path: Path,
    computed: list[tuple[int, tuple[int, int, int]]],
) -> None:
    """The first epochs, as many as there are draws, show the views of a run without a cache."""
    live = trained("live")
    cache = TeacherCache(tmp_path / "cache", 1)
    cached = trained("cached", cache=cache)
    assert [entry["stage"] for entry in cached] == ["stage1", "stage1", "stage2", "stage2"]
    for name in ("loss", "kl", "feature"):
        expected = [entry[name] for entry in live]
        np.testing.assert_allclose([entry[name] for entry in cached], expected, rtol=1e-3)
    assert json.loads((tmp_path / "cached" / "run.json").read_text())["cached_views"] == 1
    # Another student in one stage, from the command line: nothing is computed again.
    settings = [*SMALL, "stages=both", "max_steps=1", "method.num_outputs=9"]
    words = ["pretrain", "--recipe=burn_digits", "--data=synthetic:32", "--cached_views=1"]
    words += [f"--teacher_cache={tmp_path / 'cache'}", f"--workdir={tmp_path / 'student'}"]
    settings.append(f"teacher.weights={tmp_path / 'teacher.keras'}")
    assert main([*words, *(f"--set={setting}" for setting in settings)]) == 0
    assert len(computed) == 1
    with pytest.raises(UserError, match=r"another configuration \(differs in cached_views\)"):
        trained("cached")
