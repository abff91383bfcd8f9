"""Pretrain with several methods alike, probe each, and set them side by side in one table."""

from __future__ import annotations

import os
from pathlib import Path

from absl import flags as absl_flags

from burn_tf._checks import UserError
from burn_tf.cli import teacher_flags
from burn_tf.cli.data import DATA_HELP
from burn_tf.cli.targets import check_different_files, check_file_target, check_folder_target


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf compare`."""
    absl_flags.DEFINE_list(
        "methods",
        [],
        "of burn, burn_authors, msbreg, byol, byol_multicrop, moco_v2, moco_v2_tuned, s2bnn, "
        "s2bnn_contrastive, s2bnn_both, swav, swav_multicrop, simclr_v2, infomin, simsiam, "
        "barlow_twins, vicreg, wmse, supervised, supervised_classifier, untrained, raw_pixels, "
        "with commas; instead of --preset",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "preset",
        None,
        "a table of the papers: burn_baselines, burn_table5, burn_table6, burn_table7, "
        "msbreg_table8 or msbreg_table11; or burn_forms: from the paper's BURN to its authors' "
        "code",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "data", None, f"with one class per image: {DATA_HELP}", flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "budget", None, "epochs of each run, over all its stages", lower_bound=1, flag_values=flags
    )
    absl_flags.DEFINE_list("seeds", ["1"], "a run of each method per seed", flag_values=flags)
    absl_flags.DEFINE_string(
        "workdir", None, "folder for everything; the same command goes on there", flag_values=flags
    )
    _register_network(flags)
    absl_flags.DEFINE_list(
        "probes", ["linear:fast", "knn:5"], "protocols as in burn-tf evaluate", flag_values=flags
    )
    absl_flags.DEFINE_integer(
        "images",
        None,
        "train on so many images, drawn once for all methods; default all",
        lower_bound=2,
        flag_values=flags,
    )
    _register_run(flags)
    absl_flags.mark_flags_as_required(["data", "budget", "workdir"], flag_values=flags)


def _register_network(flags: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_string(
        "backbone",
        None,
        "reactnet_a, reactnet_tiny, resnet18 or resnet50; default that of the data's recipe",
        flag_values=flags,
    )
    absl_flags.DEFINE_float("width", None, "scales the backbone's channels", flag_values=flags)
    absl_flags.DEFINE_string(
        "stages",
        None,
        "two (binary activations, then weights too), one (both at once) or float; default two for "
        "binary networks",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "teacher",
        None,
        "a saved float backbone; default: one is trained per seed by MSBReg, for the same epochs",
        flag_values=flags,
    )


def _register_run(flags: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_multi_string(
        "set",
        [],
        "key=value for all runs, such as batch_size=64 or optimizer.learning_rate=0.001",
        flag_values=flags,
    )
    absl_flags.DEFINE_boolean(
        "strict", False, "stop at an image that cannot be read", flag_values=flags
    )
    absl_flags.DEFINE_float(
        "checkpoint_seconds",
        120.0,
        "time between checkpoints of a run",
        lower_bound=0.001,
        flag_values=flags,
    )
    teacher_flags.register(flags)
    for kind, what in (("json", "the table"), ("html", "the page")):
        absl_flags.DEFINE_string(
            kind, None, f"file to write {what} to, besides the one in --workdir", flag_values=flags
        )


def _check_outside(name: str, path: str, workdir: str) -> None:
    """Refuse a file in the comparison's own folder, which keeps table and page there anyway."""
    if Path(os.path.realpath(workdir)) in Path(os.path.realpath(path)).parents:
        raise UserError(
            f"`{name}` must not be inside --workdir, which holds table.json and report.html: leave "
            f"it out, or choose another folder. Received: {path!r}"
        )


def run(flags: absl_flags.FlagValues) -> int:
    """Compare; exit code 1 when a run failed."""
    from burn_tf.compare import Comparison, Settings

    for name in ("json", "html"):
        if getattr(flags, name) is not None:
            check_file_target(name, getattr(flags, name))
            _check_outside(name, getattr(flags, name), flags.workdir)
    check_different_files(json=flags.json, html=flags.html, teacher=flags.teacher)
    check_folder_target("workdir", flags.workdir)
    settings = Settings(
        data=flags.data,
        budget=flags.budget,
        methods=_words(flags.methods),
        preset=flags.preset,
        seeds=tuple(_seed(word) for word in _words(flags.seeds)),
        backbone=flags.backbone,
        width=flags.width,
        stages=flags.stages,
        teacher=flags.teacher,
        probes=_words(flags.probes),
        images=flags.images,
        overrides=tuple(flags.set),
        strict=flags.strict,
        checkpoint_seconds=flags.checkpoint_seconds,
        teacher_cache=teacher_flags.read(flags),
    )
    comparison = Comparison(settings, flags.workdir, json_file=flags.json, html_file=flags.html)
    table = comparison.run()
    print(f"\n{comparison.text(table)}", flush=True)
    return 1 if comparison.has_failures else 0


def _words(given: list[str]) -> tuple[str, ...]:
    return tuple(word.strip() for word in given)


def _seed(word: str) -> int:
    # TensorFlow's seeds are int32.
    if not word.isdecimal() or len(word) > 10 or int(word) >= 2**31:
        raise UserError(
            f"`seeds` must be whole numbers from 0 to {2**31 - 1}, such as 1,2,3. "
            f"Received: {word!r}"
        )
    return int(word)
