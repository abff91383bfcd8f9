"""What a conversion gives: a file's bytes and what is in it."""

from __future__ import annotations

import dataclasses
import os

from burn_tf._checks import UserError
from burn_tf._files import atomic_write
from burn_tf.export.report import ExportReport


@dataclasses.dataclass(frozen=True)
class ExportedModel:
    """A converted model.

    Args:
        flatbuffer: The bytes of the .tflite file. `report.runtime` says what runs it.
        report: What became of every binary layer.
    """

    flatbuffer: bytes
    report: ExportReport

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file whole or not at all.

        Raises:
            UserError: the path cannot be written.
        """
        try:
            atomic_write(path, self.flatbuffer)
        except OSError as error:
            raise UserError(
                f"cannot write {os.fspath(path)!r}: {error.strerror}; choose another `path`"
            ) from error


def refuse_float_layers(report: ExportReport) -> None:
    """Raise where a binary layer would be computed from other weights than its signs."""
    floating = report.stayed_float()
    if floating:
        others = f" and {len(floating) - 1} more" if len(floating) > 1 else ""
        raise UserError(
            f"layer {floating[0].name!r}{others} would be computed in float: {floating[0].reason}. "
            "Repair it or pass strict=False"
        )
