"""Runs are alike but for their method; what cannot be run is refused before anything is written."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.compare import METHODS, PRESETS, Settings
from burn_tf.compare.entries import TEACHERS
from burn_tf.compare.plan import Plan, Run, load_splits
from burn_tf.recipes import get_recipe
from burn_tf.training import TeacherCache
from burn_tf.training.pretraining import check_recipe
from tests.compare.saved_teacher import saved_teacher

Make = Callable[..., Settings]
PARTS = ("backbone", "classifier")


def trained(plan: Plan) -> dict[str, Run]:
    return {run.row: run for run in plan.runs if run.trained and run.row not in TEACHERS}


def test_methods_differ_in_method_and_views_alone(small: Make, tmp_path: Path) -> None:
    plan = Plan(small(methods=tuple(METHODS)), tmp_path / "work")
    runs = trained(plan)
    assert set(runs) == set(METHODS)
    plain = set()
    for run in runs.values():
        assert run.recipe is not None
        views = dataclasses.replace(run.recipe.views, num_views=1)
        if run.row.endswith("_multicrop"):
            assert (views.local_views, views.local_size, views.local_policy) == (4, 8, "digits")
            views = plan.base.views
        alike = dataclasses.replace(
            run.recipe, name="", method=plan.base.method, views=views, teacher=None
        )
        if run.row == "moco_v2_tuned":
            tuned = get_recipe("moco_v2_tuned_cifar10").optimizer
            assert (tuned.name, tuned.learning_rate) == ("adam", 3e-4)
            assert alike.optimizer == dataclasses.replace(tuned, warmup_epochs=0.0)
            alike = dataclasses.replace(alike, optimizer=plan.base.optimizer)
        plain.add(alike)
    assert len(plain) == 1
    (recipe,) = plain
    assert (recipe.epochs, recipe.stages, recipe.seed) == (1, ("activations", "both"), 1)
    # 64 images: the recipe's 64 in a batch would be one step.
    assert recipe.batch_size == 16
    assert not (tmp_path / "work").exists()


@pytest.mark.slow
@pytest.mark.parametrize("preset", [None, *PRESETS])
def test_every_row_can_be_built(small: Make, tmp_path: Path, preset: str | None) -> None:
    methods = () if preset else tuple(METHODS)
    for run in trained(Plan(small(methods=methods, preset=preset), tmp_path)).values():
        assert run.recipe is not None
        check_recipe(run.recipe)


def test_probes_that_the_images_do_not_suffice_for(small: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`k` must be at most .* images, 64\. Received: 200"):
        Plan(small(methods=("byol",), probes=("knn:5", "knn:200")), tmp_path)


def test_one_teacher_per_seed_is_shared(small: Make, tmp_path: Path) -> None:
    plan = Plan(small(methods=("burn", "s2bnn", "byol"), seeds=(3, 5), budget=4), tmp_path)
    assert [f"{run.row}-{run.seed}" for run in plan.runs] == [
        *("teacher-3", "teacher-5", "burn-3", "s2bnn-3", "byol-3", "burn-5", "s2bnn-5", "byol-5")
    ]
    assert all(run.folder == tmp_path / f"{run.row}-{run.seed}" for run in plan.runs)
    teacher = plan.runs[1].recipe
    assert teacher is not None
    assert (teacher.epochs, teacher.stages, teacher.seed) == (4, ("none",), 5)
    by_name = {f"{run.row}-{run.seed}": run.recipe for run in plan.runs}
    for name in ("burn-5", "s2bnn-5"):
        recipe = by_name[name]
        assert recipe is not None and recipe.teacher is not None
        assert recipe.teacher.weights == str((tmp_path / "teacher-5" / "backbone.keras").resolve())
        assert (recipe.teacher.head is not None) == (name == "s2bnn-5")
    assert by_name["byol-5"] is not None and by_name["byol-5"].teacher is None


def test_one_classifier_per_seed_is_shared(small: Make, tmp_path: Path) -> None:
    methods = ("supervised_classifier", "supervised")
    plan = Plan(small(methods=methods, seeds=(3, 5), budget=4), tmp_path)
    rows = [f"{run.row}-{run.seed}" for run in plan.runs]
    assert rows[:4] == ["classifier-3", "classifier-5", "supervised_classifier-3", "supervised-3"]
    assert plan.shares_classifier and not plan.shares_teacher
    classifier, student, alone = (plan.runs[index].recipe for index in (0, 2, 3))
    assert classifier is not None and student is not None and alone is not None
    assert (classifier.epochs, classifier.stages, classifier.views.num_views) == (4, ("none",), 1)
    assert classifier.method.labels and classifier.backbone.name == "resnet18"
    assert student.teacher is not None and alone.teacher is None
    files = [str((tmp_path / "classifier-3" / f"{name}.keras").resolve()) for name in PARTS]
    assert [student.teacher.weights, student.teacher.head] == files


def test_a_teacher_of_the_users_is_no_classifier(small: Make, tmp_path: Path) -> None:
    file = saved_teacher(tmp_path)
    methods = ("burn", "supervised_classifier")
    plan = Plan(small(methods=methods, teacher=file), tmp_path)
    assert [run.row for run in plan.runs] == ["classifier", *methods]
    for alone in (("supervised_classifier",), ("byol", "raw_pixels")):
        with pytest.raises(UserError, match="`teacher` must be left out where no row learns"):
            Plan(small(methods=alone, teacher=file), tmp_path).check_teacher_is_used()


def test_an_optimizer_that_no_row_would_take(small: Make, tmp_path: Path) -> None:
    given = ("optimizer.learning_rate=0.5",)
    for methods in (("moco_v2_tuned",), ("untrained", "raw_pixels")):
        with pytest.raises(UserError, match="takes no optimizer where every row has its own"):
            Plan(small(methods=methods, overrides=given), tmp_path)
    Plan(small(methods=("moco_v2", "moco_v2_tuned"), overrides=given), tmp_path)


def test_images_that_miss_a_class(small: Make, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"same classes.*; more `images` may have all classes"):
        Plan(small(methods=("byol",), images=5), tmp_path)


def test_a_teacher_that_cannot_teach_is_refused_before_any_row(small: Make, tmp_path: Path) -> None:
    broken = tmp_path / "broken.keras"
    broken.write_text("no model")
    with pytest.raises(UserError, match=r"broken\.keras cannot be read as a Keras model"):
        Plan(small(methods=("burn",), teacher=str(broken)), tmp_path)
    with pytest.raises(UserError, match=r"`teacher` must take images of 16 px.*Received: 24"):
        Plan(small(methods=("burn",), teacher=saved_teacher(tmp_path, side=24)), tmp_path)


def test_updates_are_cut_alike_for_one_stage_and_for_two(small: Make, tmp_path: Path) -> None:
    plan = Plan(small(preset="burn_table5", budget=4, overrides=("max_steps=3",)), tmp_path)
    updates = {
        run.row: run.recipe.max_steps * len(run.recipe.stages)
        for run in plan.runs
        if run.recipe is not None and run.recipe.max_steps is not None
    }
    assert len(updates) == 5 and set(updates.values()) == {6}


def test_a_teacher_of_the_users(small: Make, tmp_path: Path) -> None:
    file = saved_teacher(tmp_path)
    plan = Plan(small(methods=("burn",), teacher=file), tmp_path)
    assert [run.row for run in plan.runs] == ["burn"] and plan.shares_teacher
    with pytest.raises(UserError, match=r"projector\.keras beside the `teacher`"):
        Plan(small(methods=("s2bnn",), teacher=file), tmp_path)


def test_pixels_are_measured_once(small: Make, tmp_path: Path) -> None:
    plan = Plan(small(methods=("raw_pixels", "untrained"), seeds=(1, 2)), tmp_path)
    assert [(run.row, run.seed) for run in plan.runs] == [
        ("raw_pixels", 1),
        ("untrained", 1),
        ("untrained", 2),
    ]
    assert not any(run.trained for run in plan.runs)


@pytest.mark.parametrize(
    ("given", "stages", "epochs"),
    [
        ({"stages": "one"}, ("both",), 2),
        ({"stages": "float"}, ("none",), 2),
        ({"backbone": "resnet18", "width": 0.0625}, ("none",), 2),
    ],
)
def test_stages_share_the_budget(
    small: Make, tmp_path: Path, given: dict[str, object], stages: tuple[str, ...], epochs: int
) -> None:
    (run,) = Plan(small(methods=("byol",), **given), tmp_path).runs
    assert run.recipe is not None
    assert (run.recipe.stages, run.recipe.epochs) == (stages, epochs)


def test_presets_change_what_they_name(small: Make, tmp_path: Path) -> None:
    plan = Plan(small(preset="burn_table5", budget=4), tmp_path)
    recipes = [run.recipe for run in plan.runs if run.row != "teacher"]
    assert [(len(r.stages), r.epochs) for r in recipes if r is not None] == [(1, 4)] * 3 + [(2, 2)]
    views = Plan(small(preset="msbreg_table11", stages="float"), tmp_path)
    assert [r.recipe.views.num_views for r in views.runs if r.recipe is not None] == [2, 4, 8]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": 3}, "`budget`.*2 stages.*such as 4"),
        ({"budget": 1}, "`budget`.*such as 2"),
        ({"backbone": "resnet18", "stages": "two"}, "`stages` must be 'float' for resnet18"),
        ({"overrides": ("epochs=3",)}, "what all runs share"),
        ({"overrides": ("method.hidden_dim=3",)}, "what all runs share"),
        ({"overrides": ("batchsize=3",)}, "Did you mean 'batch_size'"),
        ({"images": 100_000}, "`images`"),
        ({"methods": (), "preset": "burn_table5", "stages": "one"}, "part of the preset"),
    ],
)
def test_refused(small: Make, tmp_path: Path, given: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Plan(small(**{"methods": ("byol",), **given}), tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize("method", ["byol", "supervised"])
def test_pictures_without_labels_are_refused(small: Make, tmp_path: Path, method: str) -> None:
    for i in range(8):
        pixels = np.random.default_rng(i).integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    with pytest.raises(UserError, match="a probe needs labels"):
        Plan(small(methods=(method,), data=str(tmp_path), images=None), tmp_path / "work")


def test_the_same_images_are_drawn_every_time() -> None:
    first, test = load_splits("digits", 50, strict=False)
    again, _ = load_splits("digits", 50, strict=False)
    everything, _ = load_splits("digits", None, strict=False)
    assert (first.num_images, everything.num_images, test.num_images) == (50, 1438, 359)
    assert first.fingerprint == again.fingerprint != everything.fingerprint
    assert first.labels is not None and len(np.unique(first.labels)) == 10


def test_a_teacher_cache_is_for_what_a_teacher_teaches(small: Make, tmp_path: Path) -> None:
    cache = TeacherCache(tmp_path / "cache", 2)
    settings = small(preset="burn_table7", teacher_cache=cache)
    assert len(trained(Plan(settings, tmp_path))) == 3
    assert settings.record()["cached_views"] == 2 and "teacher_cache" not in settings.record()
    assert Plan(small(methods=("burn", "untrained", "raw_pixels"), teacher_cache=cache), tmp_path)
    with pytest.raises(UserError, match=r"without a frozen teacher is compared.*Received: swav"):
        Plan(small(methods=("burn", "swav"), teacher_cache=cache), tmp_path)


def test_a_batch_that_is_asked_for_stays_as_it_is(small: Make, tmp_path: Path) -> None:
    plan = Plan(small(methods=("wmse",), overrides=("batch_size=32",)), tmp_path)
    assert plan.base.batch_size == 32
    assert [run.recipe.batch_size for run in plan.runs if run.recipe is not None] == [32]
