"""What a layout is asked to build from."""

from __future__ import annotations

import dataclasses

import numpy as np

from burn_tf._checks import UserError, check_sides

Sides = tuple[int | None, int | None]


@dataclasses.dataclass(frozen=True)
class Request:
    """A checkpoint's tensors and the caller's wishes.

    Args:
        tensors: arrays by name.
        input_size: height and width of the images, in pixels; None: any.
        include_top: True, False, or None for what the checkpoint has.
        include_preprocessing: begin with a change of normalisation, where a layout knows one.
    """

    tensors: dict[str, np.ndarray]
    input_size: Sides = (224, 224)
    include_top: bool | None = None
    include_preprocessing: bool = False

    def shape(self, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of a tensor; `default` where it is absent or of another rank.

        A network built by the default then shows all that does not fit, not only this one.
        """
        found = self.tensors.get(name)
        return default if found is None or found.ndim != len(default) else found.shape

    def names_under(self, prefix: str) -> list[str]:
        """Names of the tensors that begin with `prefix`."""
        return [name for name in self.tensors if name.startswith(prefix)]

    def top(self, name: str, default_classes: int) -> int | None:
        """How many classes the linear layer `name` has, or None where no top is to be built.

        Raises:
            UserError: a top is asked for that the checkpoint lacks.
        """
        present = f"{name}.weight" in self.tensors
        if self.include_top and not present:
            raise UserError(
                "`include_top` must be False or None for a checkpoint without a classification "
                f"layer. Received: {self.include_top}"
            )
        if not present or self.include_top is False:
            return None
        return self.shape(f"{name}.weight", (default_classes, 1))[0]


def check_input_size(input_size: int | tuple[int, int] | None) -> Sides:
    """Height and width of a side, a pair, or None (any)."""
    return (None, None) if input_size is None else check_sides("input_size", input_size)
