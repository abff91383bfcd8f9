"""SwAV's prototypes: cosines of embeddings with directions that are learned."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from burn_tf._checks import check_integer
from burn_tf._compat import NamedBuild
from burn_tf.losses._vectors import directions


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class Prototypes(NamedBuild):
    """Cosines of embeddings z with P learned prototypes c_p.

        score_p = <hat z, hat c_p>,   hat(v) = v / ||v||

    The prototypes are rows of one kernel [P, d] without bias. They are normalised in the forward
    pass, so that neither their length nor a weight decay on it changes a score. Scores are float32
    under every policy: a softmax at temperature 0.1 is too sharp for half precision.

    Args:
        num_prototypes: P, at least 2 (one would take every image); 3000 in the paper.

    Call arguments:
        inputs: embeddings [B, d]; the output is [B, P] float32.
        frozen: bool or bool tensor; when true the prototypes get a gradient of zero.

    Raises:
        UserError: for fewer than 2 prototypes.

    Example:
        >>> layer = Prototypes(2)
        >>> layer.build((None, 2))
        >>> layer.kernel.assign([[4.0, 0.0], [0.0, 2.0]]).shape
        TensorShape([2, 2])
        >>> layer(tf.constant([[0.0, 3.0]])).numpy().tolist()
        [[0.0, 1.0]]

    Source: Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster
        Assignments, NeurIPS 2020, sec. 3.1, arXiv 2006.09882.
    Departs from source: the authors' code normalises the stored kernel before each update instead.
    """

    def __init__(self, num_prototypes: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.num_prototypes = check_integer("num_prototypes", num_prototypes, low=2)

    def build(self, input_shape: Any) -> None:
        shape = [self.num_prototypes, int(input_shape[-1])]
        # Normal numbers, because their directions are spread evenly over the sphere.
        self.kernel = self.add_weight("kernel", shape, initializer="random_normal")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor, frozen: bool | tf.Tensor = False) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self.kernel)
        kernel = tf.where(frozen, tf.stop_gradient(kernel), kernel)
        return tf.matmul(directions(inputs), directions(kernel), transpose_b=True)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_prototypes": self.num_prototypes}
