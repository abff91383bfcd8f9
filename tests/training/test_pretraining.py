"""Whole small runs: files, resuming to the same weights, and refusals that leave nothing behind."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.data import load_source
from burn_tf.recipes import Recipe, get_recipe, override
from burn_tf.training import (
    building,
    check_recipe,
    dry_run,
    load_backbone,
    pretrain,
    pretraining,
)
from burn_tf.training import run as run_module
from burn_tf.training.building import enlarge_images, join_head
from burn_tf.training.periodic import PeriodicCheckpoint
from tests.training.killed_process import small_backbone

SMALL = [
    "backbone.name=reactnet_tiny",
    "backbone.width=1",
    "batch_size=8",
    "epochs=1",
    "max_steps=3",
    "method.hidden_dim=8",
]
TEACHER = [
    "backbone.width=0.0625",
    "batch_size=8",
    "max_steps=2",
    "method.hidden_dim=8",
    "method.embedding_dim=8",
]


@pytest.fixture(scope="module", autouse=True)
def one_block() -> Iterator[None]:
    """One binary block in place of the recipes' networks, whose graphs take far longer to trace."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (building, pretraining):
            patch.setattr(module, "build_backbone", small_backbone)
        yield


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("teacher")
    source = load_source("synthetic:24")
    pretrain(override(get_recipe("msbreg_digits"), TEACHER), source, folder, stream=io.StringIO())
    return folder / "backbone.keras"


@pytest.fixture(scope="module")
def recipe(teacher_file: Path) -> Recipe:
    settings = [*SMALL, "method.num_outputs=8", f"teacher.weights={teacher_file}"]
    return override(get_recipe("burn_digits"), settings)


@pytest.fixture(scope="module")
def whole(
    recipe: Recipe, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[np.ndarray], Path]:
    """Weights and folder of the run that nothing disturbs."""
    folder = tmp_path_factory.mktemp("whole")
    return run(recipe, folder), folder


def run(recipe: Recipe, folder: Path) -> list[np.ndarray]:
    model = pretrain(recipe, load_source("synthetic:32"), folder, stream=io.StringIO())
    return model.get_weights()


def steps_logged(folder: Path) -> list[tuple[str, int]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [(entry["stage"], entry["step"]) for entry in map(json.loads, lines)]


class PowerCut(Exception):
    """Stands for the process dying."""


@pytest.mark.parametrize(
    "dies_at", [pytest.param(("stage1", 2), marks=pytest.mark.slow), ("stage2", 1)]
)
def test_resumed_run_ends_in_the_same_weights(
    recipe: Recipe,
    whole: tuple[list[np.ndarray], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dies_at: tuple[str, int],
) -> None:
    original = PeriodicCheckpoint.on_train_batch_end

    def die(self: PeriodicCheckpoint, batch: int, logs: object = None) -> None:
        self._save()
        if (self.metadata["stage"], int(self.model.update_step.numpy())) == dies_at:
            raise PowerCut

    monkeypatch.setattr(PeriodicCheckpoint, "on_train_batch_end", die)
    with pytest.raises(PowerCut):
        run(recipe, tmp_path / "cut")
    assert not (tmp_path / "cut" / "backbone.keras").exists()
    monkeypatch.setattr(PeriodicCheckpoint, "on_train_batch_end", original)
    resumed = run(recipe, tmp_path / "cut")
    for a, b in zip(whole[0], resumed, strict=True):
        np.testing.assert_array_equal(a, b)
    expected = [("stage1", 1), ("stage1", 2), ("stage1", 3)]
    expected += [("stage2", 1), ("stage2", 2), ("stage2", 3)]
    assert steps_logged(tmp_path / "cut") == steps_logged(whole[1]) == expected
    for folder in (tmp_path / "cut", whole[1]):
        summary = json.loads((folder / "summary.json").read_text())
        assert 0 <= summary["waiting_share"] < 1


def test_signals_outside_of_the_stages_end_a_run_too(
    recipe: Recipe,
    whole: tuple[list[np.ndarray], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While networks are built, between stages, while the backbone is written; then it goes on."""
    moments = [(run_module, "build_method"), (run_module, "next_stage"), (pretraining, "_kept")]
    sent = [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]
    for (module, name), number in zip(moments, sent, strict=True):
        stream = io.StringIO()

        def told(*_: object, number: int = number, **__: object) -> None:
            os.kill(os.getpid(), number)
            raise AssertionError("still here")

        with monkeypatch.context() as patch, pytest.raises(SystemExit) as left:
            patch.setattr(module, name, told)
            pretrain(recipe, load_source("synthetic:32"), tmp_path, stream=stream)
        assert left.value.code == 128 + number
        assert stream.getvalue().endswith(
            f"burn-tf: {number.name}: what is saved stays; the same command goes on from there\n"
        )
        assert not list(tmp_path.rglob(".*.keras")) and not (tmp_path / "backbone.keras").exists()
    for resumed, expected in zip(run(recipe, tmp_path), whole[0], strict=True):
        np.testing.assert_array_equal(resumed, expected)
    assert steps_logged(tmp_path) == steps_logged(whole[1])


def test_teacher_recipe_is_run_first_and_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_teacher = override(get_recipe("msbreg_digits"), TEACHER)
    monkeypatch.setattr(pretraining, "get_recipe", lambda name: small_teacher)
    recipe = override(get_recipe("burn_digits"), [*SMALL, "method.num_outputs=8", "max_steps=1"])
    first = run(recipe, tmp_path)
    assert (tmp_path / "teacher" / "backbone.keras").exists()
    written = (tmp_path / "backbone.keras").stat().st_mtime_ns
    second = run(recipe, tmp_path)
    assert (tmp_path / "backbone.keras").stat().st_mtime_ns == written
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_small_set_gives_the_teacher_the_batch_of_its_student() -> None:
    recipe = override(get_recipe("burn_pictures"), ["batch_size=8"])
    own = get_recipe("msbreg_pictures")
    few, enough = load_source("synthetic:40"), load_source("synthetic:200")
    pretraining.check_runnable(recipe, few)
    small = pretraining._teacher_recipe(recipe, few)
    assert small.batch_size == 8 and small.epochs == own.epochs
    assert pretraining._teacher_recipe(recipe, enough) == own
    with pytest.raises(UserError, match=r"`batch_size` must be at most .*Received: 64"):
        pretraining.check_runnable(get_recipe("burn_pictures"), few)


def test_teacher_sees_enlarged_views(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    original = pretraining.enlarge_images

    def noted(teacher: tf.keras.Model, *given: int) -> tf.keras.Model:
        sizes.append(given)
        return original(teacher, *given)

    monkeypatch.setattr(pretraining, "enlarge_images", noted)
    images = tf.keras.Input((40, 40, 3))
    large = tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(images))
    large.save(tmp_path / "large.keras")
    enlarged = [f"teacher.weights={tmp_path / 'large.keras'}", "teacher.image_size=40"]
    run(override(recipe, [*enlarged, "max_steps=1"]), tmp_path / "run")
    assert sizes == [(16, 40)]
    with pytest.raises(UserError, match=r"`teacher\.image_size` must be .*16"):
        override(recipe, ["teacher.image_size=8"])


PARTS = ("backbone", "classifier")
ONE_STEP = ["backbone.name=reactnet_tiny", "backbone.width=1", "batch_size=8", "max_steps=1"]


def test_s2bnn_takes_the_head_of_its_teacher(teacher_file: Path, tmp_path: Path) -> None:
    head = teacher_file.with_name("projector.keras")
    assert load_backbone(head).output_shape == (None, 8)
    settings = [*ONE_STEP, "stages=both", "method.hidden_dim=8"]
    recipe = override(get_recipe("s2bnn_digits"), [*settings, f"teacher.weights={teacher_file}"])
    with pytest.raises(UserError, match="Received: a teacher without head"):
        run(recipe, tmp_path / "without")
    assert not (tmp_path / "without").exists()
    run(override(recipe, [f"teacher.head={head}"]), tmp_path / "run")
    assert load_backbone(tmp_path / "run" / "projector.keras").output_shape == (None, 8)


def test_small_views_and_a_backbone_for_the_large_ones(tmp_path: Path) -> None:
    small = ["views.local_views=2", "views.local_size=8", "views.local_policy=digits"]
    settings = [*ONE_STEP, *small, "stages=both", "method.hidden_dim=8", "method.embedding_dim=8"]
    recipe = override(get_recipe("byol_digits"), settings)
    run(recipe, tmp_path)
    assert load_backbone(tmp_path / "backbone.keras").input_shape == (None, 16, 16, 3)
    with pytest.raises(UserError, match=r"`views\.local_views` must be 0"):
        check_recipe(override(get_recipe("barlow_twins_digits"), small))


@pytest.mark.parametrize("teacher", ["burn_digits", "supervised_digits"])
def test_a_recipe_that_leaves_no_projector_teaches_no_s2bnn(teacher: str) -> None:
    recipe = override(get_recipe("s2bnn_digits"), [f"teacher.recipe={teacher}"])
    with pytest.raises(UserError, match=rf"S2BNN .* projector, and {teacher} leaves none"):
        check_recipe(recipe)


def test_a_broken_teacher_leaves_no_folder_behind(
    recipe: Recipe, teacher_file: Path, tmp_path: Path
) -> None:
    place = tmp_path / "teacher.keras"
    place.write_bytes(teacher_file.read_bytes()[:1000])
    begun = override(recipe, [f"teacher.weights={place}", "max_steps=1"])
    with pytest.raises(UserError, match="cannot be read as a Keras model"):
        run(begun, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    shutil.copy(teacher_file, place)
    run(begun, tmp_path / "run")


def test_a_teacher_saved_again_is_the_same(
    recipe: Recipe, teacher_file: Path, tmp_path: Path
) -> None:
    place = tmp_path / "teacher.keras"
    shutil.copy(teacher_file, place)
    begun = override(recipe, [f"teacher.weights={place}", "max_steps=1"])
    run(begun, tmp_path / "run")
    (tmp_path / "run" / "backbone.keras").unlink()
    load_backbone(teacher_file).save(place)
    assert place.read_bytes() != teacher_file.read_bytes()
    run(begun, tmp_path / "run")
    # As written before runs knew their teacher by more than its path.
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    del record["teacher"]
    (tmp_path / "run" / "run.json").write_text(json.dumps(record))
    (tmp_path / "run" / "backbone.keras").unlink()
    run(begun, tmp_path / "run")


def test_a_dry_run_needs_the_teacher_that_the_recipe_names(
    teacher_file: Path, tmp_path: Path
) -> None:
    recipe = override(get_recipe("s2bnn_digits"), [f"teacher.weights={tmp_path / 'none.keras'}"])
    with pytest.raises(UserError, match="Received: a teacher without head"):
        dry_run(recipe)
    head = teacher_file.with_name("projector.keras")
    with pytest.raises(UserError, match="there is no model at"):
        dry_run(override(recipe, [f"teacher.head={head}"]))


def test_images_without_label(tmp_path: Path) -> None:
    recipe = override(get_recipe("supervised_digits"), ["batch_size=8"])
    source = load_source("synthetic:32")
    labels = np.where(np.arange(source.num_images) < 3, -1, source.labels)
    with pytest.raises(UserError, match=r"a label for every image.*3 images without label"):
        pretrain(recipe, dataclasses.replace(source, labels=labels), tmp_path / "run")


def test_targets_are_named_as_they_are() -> None:
    with pytest.raises(UserError, match=r"`method\.targets`.*Did you mean 'labels'"):
        override(get_recipe("supervised_digits"), ["method.targets=label"])


def test_learning_from_labels(tmp_path: Path) -> None:
    recipe = override(get_recipe("supervised_digits"), [*ONE_STEP, "stages=both"])
    run(recipe, tmp_path / "run")
    entry = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[0])
    assert {"cross_entropy", "accuracy"} <= set(entry)
    unlabelled = dataclasses.replace(load_source("synthetic:32"), labels=None)
    with pytest.raises(UserError, match="Supervised needs labels"):
        pretrain(recipe, unlabelled, tmp_path / "unlabelled", stream=io.StringIO())
    assert not (tmp_path / "unlabelled").exists()


def test_learning_from_a_classifier_in_two_files_or_in_one(tmp_path: Path) -> None:
    names = ["backbone.name=resnet18", "backbone.width=0.0625", "batch_size=8", "max_steps=2"]
    labels = get_recipe("supervised_digits")
    run(override(labels, [*names, "stages=none"]), tmp_path / "float")
    backbone, classifier = (tmp_path / "float" / f"{name}.keras" for name in PARTS)
    summary = json.loads((tmp_path / "float" / "summary.json").read_text())
    assert summary["files"]["classifier"] == "classifier.keras"
    parts = load_backbone(backbone), load_backbone(classifier)
    whole = join_head(*parts)
    images = np.random.default_rng(0).random((4, 16, 16, 3), np.float32)
    np.testing.assert_array_equal(whole(images), parts[1](parts[0](images)))
    whole.save(tmp_path / "whole.keras")
    teacher = {
        "parts": [f"teacher.weights={backbone}", f"teacher.head={classifier}"],
        "whole": [f"teacher.weights={tmp_path / 'whole.keras'}"],
    }
    for name, given in teacher.items():
        settings = [*ONE_STEP, "stages=both", "method.targets=teacher", *given]
        run(override(labels, settings), tmp_path / name)
    students = [load_backbone(tmp_path / name / "backbone.keras") for name in teacher]
    for one, other in zip(*(student.get_weights() for student in students), strict=True):
        np.testing.assert_array_equal(one, other)
    assert load_backbone(tmp_path / "parts" / "classifier.keras").output_shape == (None, 4)
    alone = override(labels, ["method.targets=teacher", f"teacher.weights={backbone}"])
    with pytest.raises(UserError, match=r"set teacher\.head to classifier\.keras beside it"):
        check_recipe(alone)


def test_a_classifier_of_other_sizes_is_refused() -> None:
    head = tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(5,))])
    images = tf.keras.Input((8, 8, 3))
    pooled = tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(images))
    with pytest.raises(UserError, match=r"`teacher\.head` must take .*Received: 5 and 3"):
        join_head(pooled, head)


def test_a_recipe_that_leaves_no_classifier_teaches_no_supervised() -> None:
    recipe = override(get_recipe("supervised_digits"), ["method.targets=teacher"])
    with pytest.raises(
        UserError, match=r"Supervised learns from a teacher's classifier, .* leaves none"
    ):
        check_recipe(override(recipe, ["teacher.recipe=msbreg_digits"]))
    check_recipe(override(recipe, ["teacher.recipe=supervised_digits"]))


def test_the_teacher_may_be_moved_and_not_exchanged(
    recipe: Recipe, teacher_file: Path, tmp_path: Path
) -> None:
    places = [tmp_path / name / "teacher.keras" for name in ("first", "second")]
    for place in places:
        place.parent.mkdir()
        shutil.copy(teacher_file, place)
    begun = override(recipe, [f"teacher.weights={places[0]}", "max_steps=1"])
    run(begun, tmp_path / "run")
    (tmp_path / "run" / "backbone.keras").unlink()
    moved = override(begun, [f"teacher.weights={places[1]}"])
    run(moved, tmp_path / "run")
    load_backbone(teacher_file.with_name("projector.keras")).save(places[1])
    with pytest.raises(UserError, match=r"differs in teacher\.weights"):
        run(moved, tmp_path / "run")


def test_enlarged_images_are_bilinear() -> None:
    images = tf.keras.Input((4, 4, 3))
    model = enlarge_images(tf.keras.Model(images, images), 2, 4)
    given = np.array([[0.0, 4.0], [8.0, 12.0]], np.float32)[None, :, :, None].repeat(3, axis=3)
    # Pixel centres: an output pixel lies a quarter of a pixel from its nearest input.
    row = np.array([0.0, 1.0, 3.0, 4.0])
    expected = row[None, :] + 2 * row[:, None]
    np.testing.assert_allclose(model(given)[0, :, :, 0], expected, rtol=1e-6)


def test_other_configuration_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="another configuration"):
        run(recipe, tmp_path)
    (tmp_path / "run.json").unlink()
    run(recipe, tmp_path)
    with pytest.raises(UserError, match=r"differs in recipe\.optimizer\.learning_rate\)"):
        run(override(recipe, ["optimizer.learning_rate=0.5"]), tmp_path)
    for damage in (b'{"recipe": ', b"\xff", b"[" * 100_000):
        (tmp_path / "run.json").write_bytes(damage)
        with pytest.raises(UserError, match="is damaged"):
            run(recipe, tmp_path)


def test_missing_teacher(tmp_path: Path) -> None:
    recipe = override(get_recipe("burn_paper"), ["batch_size=4", "views.image_size=32"])
    with pytest.raises(UserError, match=r"needs a pretrained teacher: give --set teacher\.weights"):
        run(recipe, tmp_path)


def test_batch_larger_than_the_images_leaves_the_folder_free(
    recipe: Recipe, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    with pytest.raises(UserError, match=r"batch.*Received: 33"):
        run(override(recipe, ["batch_size=33"]), folder)
    assert not folder.exists()


def test_full_disk_keeps_the_checkpoint_before(
    recipe: Recipe,
    whole: tuple[list[np.ndarray], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import burn_tf.training.checkpoints as checkpoints

    original, writes = checkpoints.write_checkpoint, []

    def fills_up(path: Path, *rest: object) -> None:
        writes.append(path)
        if len(writes) == 2:
            raise OSError(28, "No space left on device", str(path))
        original(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoints, "write_checkpoint", fills_up)
    with pytest.raises(OSError, match="No space left"):
        run(recipe, tmp_path / "full")
    left = sorted(p.name for p in (tmp_path / "full" / "checkpoints").rglob("*") if p.is_file())
    assert left == ["checkpoint-0000000003.burn"]
    for a, b in zip(whole[0], run(recipe, tmp_path / "full"), strict=True):
        np.testing.assert_array_equal(a, b)


def test_policy_is_restored(recipe: Recipe, tmp_path: Path) -> None:
    run(override(recipe, ["precision=mixed_bfloat16", "max_steps=1"]), tmp_path)
    assert tf.keras.mixed_precision.global_policy().name == "float32"
