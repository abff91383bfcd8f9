"""The flags of `burn-tf pretrain` on where views are made and images are kept."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from absl import flags as absl_flags

if TYPE_CHECKING:
    from burn_tf.data import Source


def register(flags: absl_flags.FlagValues) -> None:
    """Defines them."""
    absl_flags.DEFINE_string(
        "data_service",
        None,
        "HOST:PORT of a `burn-tf data serve`, whose workers then make the views; the pixels stay "
        "the same",
        flag_values=flags,
    )
    absl_flags.DEFINE_boolean(
        "cache", False, "keep packed images in memory: the disk is read once", flag_values=flags
    )


def applied(flags: absl_flags.FlagValues, source: Source) -> Source:
    """The source, read as the flags say.

    Raises:
        UserError: both flags, no dispatcher at the address, more images than the memory holds.
    """
    from burn_tf._checks import UserError
    from burn_tf.data.data_service import check_address
    from burn_tf.data.packed_source import cached

    if flags.data_service is not None:
        if flags.cache:
            raise UserError(
                "`cache` is for the process that makes the views: leave it out with --data_service."
                " Received: cache=True"
            )
        check_address(flags.data_service)
        return dataclasses.replace(source, data_service=flags.data_service)
    return cached(source) if flags.cache else source
