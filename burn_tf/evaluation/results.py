"""The one record that tables, JSON files and plots of an evaluation are made from."""

from __future__ import annotations

import dataclasses
import json
from typing import Any


@dataclasses.dataclass(frozen=True)
class Result:
    """Numbers of one evaluation with the protocol that produced them.

    Args:
        protocol: Identifier of the protocol, for example `"linear:burn"`.
        metrics: Name -> value. `top1` and `top5` are in percent (0 to 100).
        provenance: Everything the numbers depend on: settings, data, features. JSON types only.

    Example:
        >>> from burn_tf.evaluation import Result
        >>> result = Result("knn:5", {"top1": 97.5}, {"train": "digits"})
        >>> result.to_row()
        {'protocol': 'knn:5', 'top1': 97.5}
    """

    protocol: str
    metrics: dict[str, float]
    provenance: dict[str, Any]

    def to_json(self) -> str:
        """The whole record as indented, strict JSON (NaN is refused)."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Result:
        """The inverse of `to_json`."""
        return cls(**json.loads(text))

    def to_row(self) -> dict[str, str | float]:
        """The protocol and its metrics side by side, for one row of a table."""
        return {"protocol": self.protocol, **self.metrics}
