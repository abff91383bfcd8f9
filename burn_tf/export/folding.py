"""Moves shifts per channel into their neighbours, so that a file has fewer additions.

Every tensor of the network is the stored one plus an offset per channel that is known: a shift that
is left out of a layer travels on as an offset, through sums, pools and joins, until a batch norm, a
sign or a dense layer takes it up. The network keeps its layers; weights alone change, and a
converter drops a shift of zeros.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._compat import quantized_scope
from burn_tf.export.binary_layers import variable_key
from burn_tf.export.graph import UNCHANGED, Node, SharedLayerError, flat_graph
from burn_tf.export.preparation import float32_values, rebuilt_model
from burn_tf.layers import Rotate180, RPReLU, RSign

# Offsets pass these as they are. An average that counts padding would not keep them.
_KEEPS_OFFSET = (
    tf.keras.layers.AveragePooling2D,
    tf.keras.layers.GlobalAveragePooling2D,
    tf.keras.layers.GlobalMaxPooling2D,
    tf.keras.layers.MaxPooling2D,
    tf.keras.layers.Dropout,
    Rotate180,
)
_NORMS = (tf.keras.layers.BatchNormalization,)


@dataclasses.dataclass(frozen=True)
class _Offset:
    """True tensor minus stored tensor, float64 [channels], and the layers it was taken from."""

    values: np.ndarray | float
    sources: frozenset[str] = frozenset()

    def __add__(self, other: _Offset) -> _Offset:
        return _Offset(self.values + other.values, self.sources | other.sources)


_NONE = _Offset(0.0)


class _MustKeepError(Exception):
    """An offset reached a layer that cannot take it up."""

    def __init__(self, sources: frozenset[str]) -> None:
        super().__init__()
        self.sources = sources


def _array(variable: Any) -> np.ndarray:
    with quantized_scope(False):
        return np.asarray(getattr(variable, "latent_variable", variable), np.float64)


def _norms_late(nodes: Sequence[Node]) -> Iterable[Node]:
    """The nodes, each after its inputs, a norm only where nothing else is ready.

    What a norm takes up depends on the other part of the sum that it goes into.
    """
    waiting, done = list(nodes), {id(i) for n in nodes for i in n.inputs} - {id(n) for n in nodes}
    while waiting:
        ready = [node for node in waiting if all(id(given) in done for given in node.inputs)]
        node = min(ready, key=lambda node: isinstance(node.layer, _NORMS))
        waiting.remove(node)
        done.add(id(node))
        yield node


def _settled(shift: np.ndarray, offset: _Offset) -> np.ndarray:
    """The shift that is left, exactly 0 where the two are opposites but for rounding."""
    left = shift + offset.values
    return np.where(np.abs(left) <= 1e-12 * np.abs(shift), 0.0, left)


class _Pass:
    """One walk through the graph; `weights` are the new values by the variable's key."""

    def __init__(self, nodes: Sequence[Node], outputs: Sequence[Node], keep: set[str]) -> None:
        self.keep = keep
        self.weights: dict[int, np.ndarray] = {}
        self.offsets: dict[int, _Offset] = {}
        for node in _norms_late(nodes):
            self.offsets[id(node)] = self._visit(node, [self._of(i) for i in node.inputs])
        for node in outputs:
            self._refuse(self._of(node))

    def _of(self, node: Node) -> _Offset:
        return self.offsets.get(id(node), _NONE)

    def _refuse(self, offset: _Offset) -> None:
        if offset.sources:
            raise _MustKeepError(offset.sources)

    def _set(self, variable: Any, value: np.ndarray) -> None:
        self.weights[variable_key(variable)] = value

    def _visit(self, node: Node, given: list[_Offset]) -> _Offset:
        layer = node.layer
        if isinstance(layer, RPReLU):
            return self._activation(layer, given[0])
        if isinstance(layer, RSign):
            self._set(layer.shift, _settled(_array(layer.shift), given[0]))
            # Without the sign the shifted value itself goes on, and the shift has settled it.
            return _NONE
        if isinstance(layer, tf.keras.layers.Add):
            return sum(given, _NONE)
        if isinstance(layer, tf.keras.layers.Concatenate) and layer.axis in (-1, 3):
            return self._joined(node, given)
        if isinstance(layer, _KEEPS_OFFSET):
            return given[0]
        if isinstance(layer, _NORMS):
            return self._norm(node, given[0])
        if isinstance(layer, tf.keras.layers.Dense) and layer.use_bias:
            return self._dense(layer, given[0])
        for offset in given:
            self._refuse(offset)
        return _NONE

    def _activation(self, layer: RPReLU, given: _Offset) -> _Offset:
        self._set(layer.shift_in, _settled(_array(layer.shift_in), given))
        shift = _array(layer.shift_out)
        if layer.name in self.keep:
            return _NONE
        self._set(layer.shift_out, np.zeros_like(shift))
        return _Offset(shift, frozenset({layer.name}))

    def _joined(self, node: Node, given: list[_Offset]) -> _Offset:
        widths = [_channels(source) for source in node.inputs]
        values = [np.broadcast_to(o.values, w) for o, w in zip(given, widths, strict=True)]
        return _Offset(np.concatenate(values), frozenset().union(*(o.sources for o in given)))

    def _dense(self, layer: tf.keras.layers.Dense, given: _Offset) -> _Offset:
        if given.sources:
            kernel = _array(layer.kernel)
            offset = np.broadcast_to(given.values, len(kernel))
            self._set(layer.bias, _array(layer.bias) + offset @ kernel)
        return _NONE

    def _norm(self, node: Node, given: _Offset) -> _Offset:
        """The stored output is chosen so that what comes next needs no shift of its own."""
        layer = node.layer
        self._refuse(given)
        if not layer.center or layer.name in self.keep:
            return _NONE
        wanted = self._wanted(node)
        if wanted is None:
            return _NONE
        self._set(layer.beta, _array(layer.beta) + wanted)
        return _Offset(-wanted, frozenset({layer.name}))

    def _wanted(self, node: Node) -> np.ndarray | None:
        """The constant that consumers add to this output, where one can be settled here."""
        for consumer in node.consumers:
            if isinstance(consumer.layer, RSign):
                return _array(consumer.layer.shift)
            if isinstance(consumer.layer, RPReLU):
                return _array(consumer.layer.shift_in)
        if len(node.consumers) != 1 or not isinstance(node.consumers[0].layer, tf.keras.layers.Add):
            return None
        return self._wanted_behind_sum(node, node.consumers[0])

    def _wanted_behind_sum(self, node: Node, total: Node) -> np.ndarray | None:
        others = [other for other in total.inputs if other is not node]
        # Of two norms in one sum the first settles everything.
        if len(others) != 1 or (
            isinstance(others[0].layer, _NORMS) and id(others[0]) not in self.offsets
        ):
            return None
        follower, part = _follower(total)
        if follower is None:
            return None
        shift = _array(follower.layer.shift_in)[part]
        return shift + np.broadcast_to(self._of(others[0]).values, shift.shape)


def _channels(node: Node) -> int:
    return int(node.layer.output_shape[-1])


def _follower(total: Node) -> tuple[Node | None, slice]:
    """The RPReLU that alone takes a sum, also behind a join, and which channels of it are this."""
    if len(total.consumers) != 1:
        return None, slice(None)
    (consumer,) = total.consumers
    part = slice(None)
    if isinstance(consumer.layer, tf.keras.layers.Concatenate) and len(consumer.consumers) == 1:
        start = 0
        for source in consumer.inputs:
            if source is total:
                break
            start += _channels(source)
        part = slice(start, start + _channels(total))
        (consumer,) = consumer.consumers
    return (consumer, part) if isinstance(consumer.layer, RPReLU) else (None, part)


def folded_weights(model: tf.keras.Model) -> dict[int, np.ndarray]:
    """New values, by `variable_key`, of the weights that `fold_shifts` changes."""
    try:
        nodes, outputs = flat_graph(model, UNCHANGED)
    except SharedLayerError:
        return {}
    keep: set[str] = set()
    while True:
        try:
            return _Pass(nodes, outputs, keep).weights
        except _MustKeepError as conflict:
            # Each time at least one more layer keeps its shift, so this ends.
            keep |= conflict.sources


def fold_shifts(model: tf.keras.Model) -> tf.keras.Model:
    """A copy of a model that computes the same in inference with fewer shifts that are not 0.

    The shifts of RSign and RPReLU go into the batch norms before them, into the signs after them
    and into a last dense layer. What remains is one shift per sign: of ReActNet-A's 78 shifts, 25.
    A converter drops the others. A model in which a layer is used twice stays as it is.

    Args:
        model: functional or sequential, of this library's layers; others may be among them, and
            keep what reaches them as it is.

    Returns:
        A model of the same layers. Outputs are equal but for rounding; where rounding moves a value
        over a sign's threshold, that sign flips.

    Example:
        >>> import numpy as np
        >>> from burn_tf import backbones
        >>> from burn_tf.export import fold_shifts
        >>> model = backbones.ReActNetTiny((16, 16, 3))
        >>> images = np.ones([1, 16, 16, 3], np.float32)
        >>> bool(np.allclose(fold_shifts(model)(images), model(images), atol=1e-4))
        True

    Source: ours.
    Departs from source: none.
    """
    folded = folded_weights(model)

    def value(variable: tf.Variable) -> np.ndarray:
        new = folded.get(variable_key(variable))
        return float32_values(variable) if new is None else new.astype(np.float32)

    return rebuilt_model(model, lambda config: config, value)
