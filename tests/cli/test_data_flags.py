"""`--data_service` and `--cache` of `burn-tf pretrain`: what they make of a source."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from absl import flags as absl_flags
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.cli import data_flags
from burn_tf.cli.main import main
from burn_tf.data import Source, load_source, pack_source
from burn_tf.data.data_servers import DataServers
from burn_tf.training import CheckpointStore
from tests.data.test_packing import photograph


@pytest.fixture
def packed(tmp_path: Path) -> Source:
    """Three images to train on, too large to be decoded into memory."""
    for i in range(4):
        Image.new("RGB", (140 + i, 150), (i, 0, 0)).save(tmp_path / f"{i}.png")
    pack_source(str(tmp_path), tmp_path / "packed")
    return load_source(f"packed:{tmp_path / 'packed'}")


def applied(source: Source, *words: str) -> Source:
    flags = absl_flags.FlagValues()
    data_flags.register(flags)
    flags(["burn-tf", *words])
    return data_flags.applied(flags, source)


def test_nothing_asked_for(packed: Source) -> None:
    assert applied(packed) is packed


def test_cache(packed: Source) -> None:
    source = applied(packed, "--cache")
    assert source.records is not None and source.records.held is not None
    assert source.fingerprint == packed.fingerprint
    np.testing.assert_array_equal(source.image(1), packed.image(1))


def test_service(packed: Source) -> None:
    with DataServers(host="localhost") as servers:
        source = applied(packed, f"--data_service={servers.address}")
        assert source.data_service == servers.address
        assert source.fingerprint == packed.fingerprint
        with pytest.raises(UserError, match="`cache` is for the process that makes the views"):
            applied(packed, f"--data_service={servers.address}", "--cache")
    with pytest.raises(UserError, match="must be HOST:PORT"):
        applied(packed, "--data_service=nowhere")


@pytest.fixture
def service() -> Iterator[str]:
    """The address of a dispatcher with a worker, and of another worker: processes of their own."""
    words = [sys.executable, "-m", "burn_tf", "data", "serve", "--host=localhost"]
    first = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    started = [first]
    try:
        assert first.stdout is not None
        address = first.stdout.readline().split()[3].rstrip(":")
        second = subprocess.Popen([*words, f"--dispatcher={address}"], stdout=subprocess.PIPE)
        started.append(second)
        assert second.stdout is not None and b"worker" in second.stdout.readline()
        yield address
    finally:
        for process in started:
            process.kill()
            process.communicate()


@pytest.mark.slow
def test_a_run_goes_on_and_is_resumed_whatever_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damage that neither size nor time tell; then the time does."""
    for i in range(12):
        photograph(i).save(tmp_path / f"{i}.jpg")
    pack_source(str(tmp_path), tmp_path / "packed")
    (shard,) = (tmp_path / "packed").glob("train-*")
    state, data = shard.stat(), bytearray(shard.read_bytes())
    data[500] ^= 4
    shard.write_bytes(data)
    os.utime(shard, ns=(state.st_atime_ns, state.st_mtime_ns))
    settings = ["backbone.name=reactnet_tiny", "backbone.width=1", "batch_size=4", "epochs=2"]
    settings += ["stages=activations", "method.hidden_dim=8", "method.embedding_dim=8"]
    words = ["pretrain", "--recipe=byol_digits", f"--data=packed:{tmp_path / 'packed'}"]
    words += [f"--workdir={tmp_path / 'run'}", *(f"--set={setting}" for setting in settings)]
    assert main(words) == 0
    (tmp_path / "run" / "backbone.keras").unlink()
    os.utime(shard, ns=(1, 1))
    assert main(words) == 0
    assert "another configuration" not in capsys.readouterr().err


@pytest.mark.slow
def test_a_whole_run_ends_in_the_bits_of_one_without_a_service(
    tmp_path: Path, service: str
) -> None:
    """Two stages on packed photographs, whose views other processes make."""
    for i in range(12):
        photograph(i).save(tmp_path / f"{i}.jpg")
    pack_source(str(tmp_path), tmp_path / "packed", shards=2)
    settings = ["backbone.name=reactnet_tiny", "backbone.width=1", "batch_size=4", "epochs=3"]
    settings += ["stages=activations,both", "method.hidden_dim=8", "method.embedding_dim=8"]
    settings += ["accumulate=2"]
    words = ["pretrain", "--recipe=byol_digits", f"--data=packed:{tmp_path / 'packed'}"]
    words += [f"--set={setting}" for setting in settings]
    ends, lines = [], []
    for name, flags in (("alone", []), ("served", [f"--data_service={service}"])):
        assert main([*words, *flags, f"--workdir={tmp_path / name}"]) == 0
        newest = CheckpointStore(tmp_path / name / "checkpoints" / "stage2").newest()
        assert newest is not None
        ends.append([array.tobytes() for array in newest.arrays])
        text = (tmp_path / name / "metrics.jsonl").read_text(encoding="utf-8")
        lines.append([json.loads(line) for line in text.splitlines()])
    assert ends[0] == ends[1]
    assert len(lines[0]) == len(lines[1]) > 6
    for one, other in zip(*lines, strict=True):
        for clocked in ("time", "wait_seconds"):
            assert one.pop(clocked) >= 0 and other.pop(clocked) >= 0
        assert one == other
