"""`--data_service` and `--cache` of `burn-tf pretrain`: what they make of a source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from absl import flags as absl_flags
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.cli import data_flags
from burn_tf.data import Source, load_source, pack_source
from burn_tf.data.data_servers import DataServers


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
