"""Check, pack or serve a set of images: burn-tf data check|pack|serve.

check SOURCE   what is wrong with it, before hours are spent on it. Every image of the train and the
               test split is read once. Exit code 2 when the set is not usable: it cannot be loaded,
               or its splits have different classes. Other findings are told and cost nothing.
pack SOURCE    writes it to --output as TFRecord files with an index; --data packed:FOLDER then
               gives the same pixels from a few large files. Damaged images are left out and
               counted.
serve          starts a dispatcher and a worker of a tf.data service on --port, or with
               --dispatcher one more worker: `burn-tf pretrain --data_service HOST:PORT` has
               its views made there. Every worker needs the images at the same paths.
"""

from __future__ import annotations

import dataclasses
import json
import os

from absl import flags as absl_flags

from burn_tf._checks import UserError, check_choice
from burn_tf.cli.flag_values import check_unused
from burn_tf.cli.targets import check_file_target

POSITIONAL = ("action", "source")
_FLAGS = {
    "check": ("few", "tiny", "json"),
    "pack": ("output", "shards", "image_size", "strict"),
    "serve": ("port", "dispatcher", "host"),
}
DATA_HELP = (
    "digits, a folder, packed:FOLDER, tfds:NAME, list:FILE, synthetic:N, voc:FOLDER, coco:FOLDER, "
    "cub:FOLDER, or the classes or images that a file names: classes:FILE:DATA, images:FILE:DATA"
)


def register(flags: absl_flags.FlagValues) -> None:
    """The flags of `burn-tf data`."""
    absl_flags.DEFINE_string("action", None, "check, pack or serve", flag_values=flags)
    absl_flags.DEFINE_string("source", None, DATA_HELP, flag_values=flags)
    absl_flags.DEFINE_integer(
        "few",
        10,
        "check: name the classes with fewer images to train on",
        lower_bound=0,
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "tiny",
        32,
        "check: name the images with a shorter side, pixels",
        lower_bound=0,
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "json", None, "check: file to write all findings to, every image named", flag_values=flags
    )
    _register_pack(flags)
    _register_serve(flags)


def _register_pack(flags: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_string("output", None, "pack: folder for the files", flag_values=flags)
    absl_flags.DEFINE_integer(
        "shards",
        None,
        "pack: files per split (default: one for every 1,024 images)",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_integer(
        "image_size",
        None,
        "pack: shrink images to a short side of so many pixels (default: keep every byte)",
        lower_bound=1,
        flag_values=flags,
    )
    absl_flags.DEFINE_boolean(
        "strict", False, "pack: stop at an image that cannot be read", flag_values=flags
    )


def _register_serve(flags: absl_flags.FlagValues) -> None:
    absl_flags.DEFINE_integer(
        "port",
        None,
        "serve: port of the dispatcher, or with --dispatcher of the worker (default: a free one)",
        lower_bound=1,
        upper_bound=65535,
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "dispatcher",
        None,
        "serve: HOST:PORT of a dispatcher to add a worker to",
        flag_values=flags,
    )
    absl_flags.DEFINE_string(
        "host",
        None,
        "serve: name by which others reach this machine (default: its host name)",
        flag_values=flags,
    )


def run(flags: absl_flags.FlagValues) -> int:
    """Do what the action says."""
    actions = {"check": _check, "pack": _pack, "serve": _serve}
    if flags.action is None:
        raise UserError("`burn-tf data` needs an action and a source: burn-tf data check SOURCE")
    check_choice("action", flags.action, actions)
    for action, names in _FLAGS.items():
        if action != flags.action:
            check_unused(flags, names, f"`burn-tf data {action}`")
    if flags.source is None and flags.action != "serve":
        raise UserError(
            f"`burn-tf data` needs an action and a source: burn-tf data {flags.action} SOURCE"
        )
    return actions[flags.action](flags)


def _check(flags: absl_flags.FlagValues) -> int:
    """Check, print, and write the file that was asked for; 2 where the set is not usable."""
    from burn_tf import data
    from burn_tf._files import atomic_write

    if flags.json is not None:
        check_file_target("json", flags.json)
    found = data.check_source(flags.source, few=flags.few, tiny=flags.tiny)
    print(found.text())
    if flags.json is not None:
        record = {**dataclasses.asdict(found), "usable": found.usable}
        atomic_write(flags.json, json.dumps(record, indent=2) + "\n")
    return 0 if found.usable else 2


def _pack(flags: absl_flags.FlagValues) -> int:
    """Pack both splits and say what was written."""
    from burn_tf import data

    if flags.output is None:
        raise UserError("`burn-tf data pack` needs --output. See `burn-tf data --help`.")
    packed = data.pack_source(
        flags.source,
        flags.output,
        shards=flags.shards,
        image_size=flags.image_size,
        strict=flags.strict,
    )
    for split in packed:
        print(
            f"{split.split}: {split.images} images, {split.changed} of them made anew, "
            f"{len(split.left_out)} damaged ones left out, {split.size / 1e6:.1f} MB in "
            f"{split.shards} file(s)"
        )
    print(f"use it as --data packed:{flags.output}")
    return 0


def _serve(flags: absl_flags.FlagValues) -> int:
    """Serve until interrupted."""
    # Images are made side by side. Operations that are split over threads as well cost a third
    # more processor time (benchmarks/input.py); read when TensorFlow makes its devices.
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    from burn_tf.data.data_servers import DataServers

    if flags.source is not None:
        raise UserError(f"`burn-tf data serve` takes flags only. Received: {flags.source!r}")
    with DataServers(flags.port, flags.dispatcher, flags.host) as servers:
        print(f"{servers.describe()}; stop it with Ctrl-C", flush=True)
        servers.wait()
    return 0
