"""Run as a script: trains once undisturbed, then again, killed at one moment after the other.

    python named_moments.py FOLDER

BURN in two stages with two micro-batches, the teacher's features kept. The disturbed run reads
packed images and kills itself (SIGKILL) at each of `MOMENTS`; before it is started again its newest
checkpoint is damaged as `DAMAGE` says. FOLDER gets `whole/` and `killed/`, each with its `_cache/`.
Prints a JSON line: for each moment what the process ended with, and the last exit code.
"""

from __future__ import annotations

# The first import, as everywhere: it selects Keras 2.
import burn_tf  # noqa: F401

# isort: split
import dataclasses
import functools
import itertools
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import tensorflow as tf

from burn_tf.data import pack_source
from burn_tf.methods import SSLMethod
from burn_tf.training import TeacherCache, checkpoints, feature_table, pretraining
from burn_tf.training.checkpoints import CheckpointStore
from burn_tf.training.run import Run
from tests.training import killed_process
from tests.training.killed_process import ended, in_child


def die(*given: Any) -> None:
    """What no process survives, and none can prepare for."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying(original: Callable[..., Any], number: int) -> Callable[..., Any]:
    """The function, in place of whose call of this number the process ends."""
    calls = itertools.count(1)

    def called(*given: Any, **named: Any) -> Any:
        if next(calls) == number:
            die()
        return original(*given, **named)

    return called


def amid_features() -> None:
    """The second file of features has its first rows."""
    original: Any = feature_table.write_bank
    calls = itertools.count(1)

    def write(*given: Any, **named: Any) -> None:
        *most, batches = given

        def some() -> Iterator[Any]:
            yield batches[0][:5]
            die()

        original(*most, some() if next(calls) == 2 else batches, **named)

    vars(feature_table)["write_bank"] = write


def amid_accumulation() -> None:
    """The first of the two micro-batches of the fourth update is done."""
    original, noted = SSLMethod._share, dying(lambda loss: loss, 7)

    def share(self: SSLMethod, views: Any) -> Any:
        found = original(self, views)
        loss = tf.numpy_function(noted, [found.figures["loss"]], tf.float32)
        loss.set_shape([])
        return dataclasses.replace(found, figures={**found.figures, "loss": loss})

    setattr(SSLMethod, "_share", share)  # noqa: B010


def amid_checkpoint() -> None:
    """The third checkpoint's header is on the disk."""
    original, calls = checkpoints._write_digested, itertools.count(1)

    def write(file: BinaryIO, blocks: Iterator[bytes]) -> None:
        if next(calls) == 3:
            file.write(next(blocks))
            file.flush()
            die()
        original(file, blocks)

    vars(checkpoints)["_write_digested"] = write


def before_the_oldest_goes() -> None:
    """The third checkpoint is whole, and there are three."""
    setattr(CheckpointStore, "_settle", dying(CheckpointStore._settle, 3))  # noqa: B010


def between_the_stages() -> None:
    """The first is done, the second not begun."""
    setattr(Run, "_following", die)  # noqa: B010


def before_the_first_stages_go() -> None:
    """Both stages are done, both have checkpoints."""
    setattr(CheckpointStore, "clear", die)  # noqa: B010


def amid_backbone() -> None:
    """Its file is there under another name."""
    vars(pretraining)["_kept"] = die


MOMENTS = (
    amid_features,
    amid_accumulation,
    amid_checkpoint,
    before_the_oldest_goes,
    between_the_stages,
    before_the_first_stages_go,
    amid_backbone,
)


def flip(path: Path) -> None:
    """One bit of the last tensor."""
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    """The last byte is gone."""
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    """Nothing in it."""
    path.write_bytes(b"")


DAMAGE: dict[Callable[[], None], Callable[[Path], None]] = {
    amid_checkpoint: flip,
    before_the_oldest_goes: cut,
    between_the_stages: Path.unlink,
    before_the_first_stages_go: empty,
}


def train(folder: Path, name: str, data: str, moment: Callable[[], None] = lambda: None) -> None:
    moment()
    cache = TeacherCache(folder / f"{name}_cache", views=2)
    killed_process.train("BURN", folder, name, data, cache)


def pack(folder: Path) -> None:
    pack_source("digits", folder / "packed")


def main(folder: Path) -> None:
    """Everything above, in turn."""
    for action in (lambda: pack(folder), lambda: train(folder, "whole", "digits")):
        if ended(in_child(action)):
            raise RuntimeError(f"the undisturbed run failed, see {folder}/whole.log")
    packed, ends = f"packed:{folder / 'packed'}", []
    for moment in MOMENTS:
        ends.append(ended(in_child(functools.partial(train, folder, "killed", packed, moment))))
        if moment in DAMAGE:
            newest = max((folder / "killed" / "checkpoints").rglob("checkpoint-*.burn"))
            DAMAGE[moment](newest)
    last = ended(in_child(lambda: train(folder, "killed", packed)))
    print(json.dumps({"ends": ends, "last": last}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
