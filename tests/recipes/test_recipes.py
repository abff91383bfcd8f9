"""Every recipe is whole, its method can be built, and settings replace what they name."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import re

import pytest
import tensorflow as tf

from burn_tf import methods
from burn_tf._checks import UserError
from burn_tf.compare import PRESETS
from burn_tf.data import get_policy
from burn_tf.recipes import Recipe, get_recipe, list_recipes, override, setting_keys
from burn_tf.recipes.base import Network
from burn_tf.report.reported import reported_rows
from burn_tf.training import building, check_recipe, dry_run

METHODS = (
    "barlow_twins",
    "byol",
    "infomin",
    "moco_v2",
    "moco_v2_tuned",
    "s2bnn",
    "simclr_v2",
    "simsiam",
    "supervised",
    "swav",
    "vicreg",
    "wmse",
)
DATA = ("digits", "cifar10", "imagenet100", "imagenet")
COMPARED = {f"{method}_{data}" for method in METHODS for data in DATA} | {"byol_multicrop_imagenet"}
OWN = {
    *(f"{method}_{data}" for method in ("burn", "msbreg") for data in ("digits", "cifar10")),
    *("burn_paper", "burn_authors", "burn_imagenet100", "msbreg_imagenet100", "msbreg_imagenet"),
}
SMALL = sorted(name for name in COMPARED if name.endswith(("digits", "cifar10")))
# Whole, as they are; the others on a small network.
RUN_WHOLE = ["burn_authors", "msbreg_cifar10"]
RUN_SMALL = [
    # Those on CIFAR-10 have the same options, but for sizes.
    *(name for name in SMALL if name.endswith("digits")),
    "infomin_cifar10",
    "swav_cifar10",
    *sorted(set(list_recipes()) - COMPARED - set(RUN_WHOLE)),
    "byol_multicrop_imagenet",
    "infomin_imagenet",
    "moco_v2_tuned_imagenet",
    "supervised_imagenet",
    "swav_imagenet100",
]


def test_every_method_has_a_recipe_for_every_data_set() -> None:
    assert set(list_recipes()) >= COMPARED | OWN


@pytest.mark.parametrize("name", list_recipes())
def test_recipe_is_whole(name: str) -> None:
    recipe = get_recipe(name)
    assert recipe.name == name
    for policy in (*recipe.views.policies(), recipe.views.local_policy):
        assert get_policy(policy).name == policy
    if recipe.teacher is not None and recipe.teacher.recipe is not None:
        teacher = get_recipe(recipe.teacher.recipe)
        assert teacher.views.image_size == recipe.views.image_size
    header = importlib.import_module(f"burn_tf.recipes.{name}").__doc__ or ""
    assert "Source:" in header
    assert "Expected" in header or "Cost and result" in header
    if name in COMPARED or name.endswith(("_imagenet", "_imagenet100")):
        figure = r"reported by\s+the\s+authors|not reported for this|no figure could"
        assert re.search(figure, header)


def test_headers_have_the_figures_that_are_printed_beside_ours() -> None:
    """What the authors of BURN report of each method on ReActNet-A."""
    for variant in PRESETS["burn_baselines"].variants:
        name = {"burn": "burn_paper", "supervised_classifier": "supervised_imagenet"}.get(
            variant.name, f"{variant.name}_imagenet"
        )
        header = importlib.import_module(f"burn_tf.recipes.{name}").__doc__ or ""
        assert f"{variant.reported:.4g} %" in header or f"{variant.reported:.2f} %" in header
        shown = {row.method: row.metrics["top1"] for row in reported_rows("linear:burn")}
        assert variant.reported in shown.values()


@pytest.mark.parametrize("name", SMALL)
def test_small_recipes_differ_in_their_method_alone(name: str) -> None:
    """Their results may be compared: backbone, augmentation, length and (but for one) optimizer."""
    recipe = get_recipe(name)
    first = get_recipe(f"byol_{name.rsplit('_', 1)[1]}")
    assert (recipe.backbone, recipe.stages, recipe.epochs) == (
        first.backbone,
        first.stages,
        first.epochs,
    )
    assert recipe.views == dataclasses.replace(first.views, num_views=recipe.views.num_views)
    if not name.startswith("moco_v2_tuned"):
        assert (recipe.optimizer, recipe.batch_size) == (first.optimizer, first.batch_size)


def _with_small_heads(recipe: Recipe) -> Recipe:
    """The same with narrow heads; sizes that batches or queues must fit stay as they are."""
    options = recipe.method
    narrow = {
        name: 16
        for name, value in dataclasses.asdict(options).items()
        if name in ("hidden_dim", "predictor_dim", "embedding_dim") and value > 128
    }
    teacher = recipe.teacher
    if teacher is not None and teacher.recipe is None:
        teacher = dataclasses.replace(teacher, weights="given.keras", head="given.keras")
    return dataclasses.replace(
        recipe, method=dataclasses.replace(options, **narrow), teacher=teacher
    )


@pytest.mark.parametrize("name", list_recipes())
def test_method_can_be_built(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Options are arguments that the method knows, and fit its views and the batch."""
    sizes = []

    def pooled(network: Network, image_size: int | None, binarize: str) -> tf.keras.Model:
        sizes.append(image_size)
        images = tf.keras.Input((image_size, image_size, 3))
        return tf.keras.Model(images, tf.keras.layers.GlobalAveragePooling2D()(images))

    monkeypatch.setattr(building, "build_backbone", pooled)
    recipe = get_recipe(name)
    arguments = building.method_arguments(recipe, total_steps=10)
    known = set()
    for kind in getattr(methods, recipe.method.method).__mro__:
        known |= set(inspect.signature(kind.__init__).parameters)
    assert set(arguments) <= known
    check_recipe(_with_small_heads(recipe))
    assert sizes == [None if recipe.any_size else recipe.views.image_size]


def test_a_batch_that_does_not_fit_is_refused() -> None:
    recipe = _with_small_heads(get_recipe("moco_v2_digits"))
    small = Network("resnet18", width=0.125, small_image_stem=True)
    recipe = dataclasses.replace(recipe, backbone=small, stages=("none",), batch_size=60)
    with pytest.raises(UserError, match="`queue_size` must be a multiple"):
        check_recipe(recipe)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN_WHOLE)
def test_dry_run(name: str) -> None:
    figures = dry_run(get_recipe(name))
    assert math.isfinite(figures["loss"]) and figures["grad_norm"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN_SMALL)
def test_dry_run_on_a_small_network(name: str) -> None:
    """The method as it is, heads and queues included; backbone and large images reduced."""
    recipe = get_recipe(name)
    binary = "both" in recipe.stages
    backbone = Network("reactnet_tiny" if binary else "resnet18", width=1.0 if binary else 0.125)
    views = recipe.views
    views = dataclasses.replace(views, image_size=min(32, views.image_size), local_size=16)
    figures = dry_run(dataclasses.replace(recipe, backbone=backbone, views=views))
    assert math.isfinite(figures["loss"]) and figures["grad_norm"] > 0


def test_settings_are_typed() -> None:
    recipe = override(
        get_recipe("burn_digits"),
        [
            "epochs=3",
            "optimizer.learning_rate=0.5",
            "optimizer.scale_rate=true",
            "stages=both",
            "backbone.embedding_units=32",
            "max_steps=none",
        ],
    )
    assert (recipe.epochs, recipe.optimizer.learning_rate, recipe.optimizer.scale_rate) == (
        3,
        0.5,
        True,
    )
    assert recipe.stages == ("both",)
    assert recipe.backbone.embedding_units == 32
    assert recipe.max_steps is None
    assert get_recipe("burn_digits").epochs != 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("epochs", "takes key=value. Received: 'epochs'"),
        ("epoch=3", "Did you mean 'epochs'"),
        ("optimizer.learning_rte=3", "Did you mean 'optimizer.learning_rate'"),
        ("learning_rate=3", "Did you mean 'optimizer.learning_rate'"),
        ("optimizer=adam", "unknown key 'optimizer'"),
        ("name=other", "unknown key 'name'"),
        ("epochs=three", "`epochs` must be a whole number of at most 32 bits. Received: 'three'"),
        ("seed=2147483648", "`seed` must be a whole number of at most 32 bits. Received: '2147"),
        ("optimizer.weight_decay=nan", "`optimizer.weight_decay` must be a finite number"),
        ("backbone.width=1e400", "`backbone.width` must be a finite number. Received: '1e400'"),
        ("epochs=0", "`epochs` must be a whole number"),
        ("optimizer.momentum=2", r"`optimizer.momentum` must be a number .* Received: 2"),
        ("optimizer.weight_decay=-3", "`optimizer.weight_decay` must be a number"),
        ("optimizer.warmup_epochs=-1", "`optimizer.warmup_epochs` must be a number"),
        ("batch_size=1", "`batch_size` must be a whole number with 2"),
        ("precision=float64", "`precision` must be one of"),
        ("optimizer.name=adma", "Did you mean 'adam'"),
        ("optimizer.scale_rate=maybe", "`optimizer.scale_rate` must be one of"),
        ("stages=", "at least one stage"),
        ("stages=all", "`stages` must be one of"),
    ],
)
def test_bad_settings(setting: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        override(get_recipe("burn_digits"), [setting])


@pytest.mark.parametrize(
    ("recipe", "setting", "cure"),
    [
        ("byol_digits", "optimizer.momentum=0.7", "optimizer.name=sgd"),
        ("byol_digits", "optimizer.scale_rule=sqrt", "optimizer.scale_rate=true"),
        ("byol_digits", "backbone.small_image_stem=true", "backbone.name=resnet18"),
        ("byol_imagenet", "backbone.pad_values=0", "backbone.name=reactnet_a"),
        ("byol_digits", "views.local_size=8", "views.local_views=2"),
        ("byol_digits", "views.local_policy = digits", "views.local_views=2"),
    ],
)
def test_a_setting_that_nothing_reads(recipe: str, setting: str, cure: str) -> None:
    key = setting.partition("=")[0].strip()
    with pytest.raises(UserError, match=f"takes {key} only with .* nothing reads it"):
        override(get_recipe(recipe), [setting])
    override(get_recipe(recipe), [setting, cure])


def test_a_teacher_for_a_method_without_one() -> None:
    with pytest.raises(UserError, match="only with a method that learns from a teacher"):
        override(get_recipe("msbreg_digits"), ["teacher=byol_digits"])


def test_the_order_of_settings_does_not_matter() -> None:
    recipe = get_recipe("byol_digits")
    settings = ["optimizer.exempt_rate=0.5", "optimizer.name=lars", "epochs=3"]
    changed = override(recipe, settings)
    assert changed == override(recipe, settings[::-1])
    assert (changed.optimizer.exempt_rate, changed.optimizer.name, changed.epochs) == (
        0.5, "lars", 3,
    )  # fmt: skip
    back = ["optimizer.name=adam", "optimizer.exempt_rate=1"]
    assert override(get_recipe("barlow_twins_imagenet"), back).optimizer.name == "adam"


def test_unknown_recipe() -> None:
    with pytest.raises(UserError, match="Did you mean 'burn_digits'"):
        get_recipe("burn_digit")


def test_keys_are_all_accepted() -> None:
    recipe = get_recipe("burn_digits")
    keys = setting_keys(recipe)
    assert "method.temperature" in keys and "teacher.weights" in keys
    assert dataclasses.is_dataclass(recipe)
