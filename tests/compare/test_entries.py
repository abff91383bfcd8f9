"""Every method of the table builds with options sized for the backbone."""

from __future__ import annotations

import dataclasses
import re

import pytest

from burn_tf.cli.main import main
from burn_tf.compare.entries import BASELINES, METHODS, Sizes
from burn_tf.recipes import get_recipe, options

SIZES = Sizes(feature_dim=512, batch_size=128, num_images=5000, stage_steps=156)


def test_the_sizes_of_our_recipes() -> None:
    """Those of burn_cifar10 and msbreg_cifar10, whose backbones give 512 features."""
    burn, msbreg = METHODS["burn"].options(SIZES), METHODS["msbreg"].options(SIZES)
    assert isinstance(burn, options.BURNOptions) and isinstance(msbreg, options.MSBRegOptions)
    assert (burn.num_outputs, burn.hidden_dim) == (512, 512)
    assert (msbreg.hidden_dim, msbreg.embedding_dim) == (512, 128)


def test_both_forms_of_burn_differ_where_the_paper_and_its_code_do() -> None:
    """As in the recipes `burn_paper` and `burn_authors`."""
    for entry, recipe in (("burn", "burn_paper"), ("burn_authors", "burn_authors")):
        ours, theirs = METHODS[entry].options(SIZES), get_recipe(recipe)
        assert isinstance(ours, options.BURNOptions)
        sizes = {"num_outputs": ours.num_outputs, "hidden_dim": ours.hidden_dim}
        assert dataclasses.replace(theirs.method, **sizes) == ours
        assert METHODS[entry].num_views == theirs.views.num_views


def test_the_help_names_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--help"]) == 0
    shown = re.split(r"[\s,]+", capsys.readouterr().out)
    assert {*METHODS, *BASELINES} <= set(shown)


@pytest.mark.parametrize("batch, images", [(128, 5000), (16, 64), (256, 256)])
def test_what_depends_on_the_batch(batch: int, images: int) -> None:
    sizes = Sizes(512, batch, images, stage_steps=4)
    # KeyQueue takes whole batches; W-MSE needs more images than dimensions.
    assert sizes.queue_size % batch == 0 and batch <= sizes.queue_size <= max(images // 2, batch)
    assert sizes.whitened_dim < batch


def test_paper_sizes_are_the_limit() -> None:
    sizes = Sizes(2048, 256, 1_281_167, stage_steps=200 * 5004)
    assert sizes.queue_size == 65_536 and sizes.whitened_dim == 64
    assert sizes.frozen_steps == 5004


@pytest.mark.parametrize(("steps", "frozen"), [(1, 0), (39, 9), (156, 39), (1000, 39)])
def test_prototypes_learn_in_most_of_a_stage(steps: int, frozen: int) -> None:
    assert Sizes(512, 128, 5000, stage_steps=steps).frozen_steps == frozen


def test_every_method_with_options_is_in_the_table() -> None:
    classes = {
        value
        for value in vars(options).values()
        if isinstance(value, type) and issubclass(value, options.MethodOptions)
    } - {options.MethodOptions}
    assert {type(entry.options(SIZES)) for entry in METHODS.values()} == classes
