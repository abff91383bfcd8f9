"""Train a backbone without labels, from a recipe; started again, it goes on where it stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from absl import flags as absl_flags

from burn_tf._checks import UserError
from burn_tf.cli import data_flags, teacher_flags, watch_flags
from burn_tf.cli.data import DATA_HELP
from burn_tf.cli.flag_values import check_unused
from burn_tf.cli.targets import check_folder_target

if TYPE_CHECKING:
    from burn_tf.recipes import Recipe

# `burn_tf.training.STRATEGIES`; a help page does not wait for TensorFlow.
STRATEGIES = ("auto", "none", "mirrored", "multiworker", "tpu")


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
    absl_flags.DEFINE_enum(
        "strategy",
        "auto",
        list(STRATEGIES),
        "devices that train together; auto: several workers where TF_CONFIG or Slurm's srun names "
        "them, else several GPUs, else one device (as --dry_run always does)",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "tpu", "", "name or grpc://HOST:PORT of the TPU of --strategy=tpu", flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "port",
        None,
        "first port of the workers on a Slurm node (default: by the job's number)",
        lower_bound=1,
        upper_bound=65535,
        flag_values=flags,
    )
    absl_flags.DEFINE_float(
        "start_seconds",
        300.0,
        "how long the other workers, or the TPU, are waited for",
        lower_bound=1.0,
        flag_values=flags,
    )
    data_flags.register(flags)
    absl_flags.DEFINE_integer(
        "accumulate",
        None,
        "micro-batches that each batch is worked on in, one after the other, to save memory "
        "(default: the recipe's)",
        lower_bound=1,
        flag_values=flags,
    )
    teacher_flags.register(flags)
    watch_flags.register(flags)
    absl_flags.mark_flags_as_required(["recipe"], flag_values=flags)


def run(flags: absl_flags.FlagValues) -> int:
    """Run the recipe, or two steps of it."""
    from burn_tf import recipes, training
    from burn_tf.training.peers import end_process

    if flags.strategy != "tpu":
        check_unused(flags, ("tpu",), "--strategy=tpu")
    accumulate = [] if flags.accumulate is None else [f"accumulate={flags.accumulate}"]
    recipe = recipes.override(recipes.get_recipe(flags.recipe), [*flags.set, *accumulate])
    teacher_cache = teacher_flags.read(flags)
    if teacher_cache is not None:
        teacher_cache.draws(recipe)
    if flags.dry_run:
        figures = training.dry_run(recipe)
        print(f"dry run of {recipe.name}: 2 steps, loss {figures['loss']:.4g}", flush=True)
        return 0
    for name in ("data", "workdir"):
        if getattr(flags, name) is None:
            raise UserError(f"`burn-tf pretrain` needs --{name}. See `burn-tf pretrain --help`.")
    check_folder_target("workdir", flags.workdir)
    try:
        return _train(flags, recipe, teacher_cache)
    except training.LostWorker as error:
        # Without the orderly exit, which may wait for the worker that is gone.
        end_process(str(error))
        raise


def _train(flags: absl_flags.FlagValues, recipe: Recipe, teacher_cache: Any) -> int:
    from burn_tf import training
    from burn_tf.data import load_source

    # First of all: TensorFlow forms its group of workers before its first operation.
    with training.make_workers(
        flags.strategy, tpu=flags.tpu, port=flags.port, start_seconds=flags.start_seconds
    ) as workers:
        training.check_recipe(recipe)
        source = load_source(flags.data, split="train", strict=flags.strict)
        source = data_flags.applied(flags, source)
        if workers.replicas > 1:
            print(workers.describe(), flush=True)
        if workers.is_chief:
            print(f"{source.num_images} images from {flags.data}, recipe {recipe.name}", flush=True)
        training.pretrain(
            recipe,
            source,
            flags.workdir,
            checkpoint_seconds=flags.checkpoint_seconds,
            workers=workers,
            teacher_cache=teacher_cache,
            watch=watch_flags.read(flags),
        )
    if workers.is_chief:
        print(f"backbone: {flags.workdir}/{training.BACKBONE_FILE}", flush=True)
    return 0
