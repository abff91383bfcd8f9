"""Train a backbone without labels, from a recipe; started again, it goes on where it stopped."""

from __future__ import annotations

from absl import flags as absl_flags

from burn_tf._checks import UserError
from burn_tf.cli.data import DATA_HELP


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf pretrain`."""
    absl_flags.DEFINE_string(
        "recipe", None, "name of a recipe, such as burn_digits", flag_values=flags
    )
    absl_flags.DEFINE_string("data", None, DATA_HELP, flag_values=flags)
    absl_flags.DEFINE_string(
        "workdir", None, "folder for everything the run writes", flag_values=flags
    )
    absl_flags.DEFINE_multi_string(
        "set",
        [],
        "key=value that replaces one of the recipe's, such as epochs=3",
        flag_values=flags,
    )
    absl_flags.DEFINE_boolean(
        "dry_run", False, "two steps on made-up images, writing nothing", flag_values=flags
    )
    absl_flags.DEFINE_boolean(
        "strict", False, "stop at an image that cannot be read", flag_values=flags
    )
    absl_flags.DEFINE_float(
        "checkpoint_seconds",
        120.0,
        "time between checkpoints",
        lower_bound=0.001,
        flag_values=flags,
    )
    absl_flags.mark_flags_as_required(["recipe"], flag_values=flags)


def run(flags: absl_flags.FlagValues) -> int:
    """Run the recipe, or two steps of it."""
    from burn_tf import recipes, training
    from burn_tf.data import load_source

    recipe = recipes.override(recipes.get_recipe(flags.recipe), flags.set)
    if flags.dry_run:
        figures = training.dry_run(recipe)
        print(f"dry run of {recipe.name}: 2 steps, loss {figures['loss']:.4g}", flush=True)
        return 0
    for name in ("data", "workdir"):
        if getattr(flags, name) is None:
            raise UserError(f"`burn-tf pretrain` needs --{name}. See `burn-tf pretrain --help`.")
    training.check_recipe(recipe)
    source = load_source(flags.data, split="train", strict=flags.strict)
    print(f"{source.num_images} images from {flags.data}, recipe {recipe.name}", flush=True)
    training.pretrain(recipe, source, flags.workdir, checkpoint_seconds=flags.checkpoint_seconds)
    print(f"backbone: {flags.workdir}/{training.BACKBONE_FILE}", flush=True)
    return 0
