"""SwAV: each view predicts which prototypes the other views of its image were assigned to."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from burn_tf import distribute
from burn_tf._checks import UserError, check_integer, check_range
from burn_tf.losses import sinkhorn, swapped_prediction
from burn_tf.methods.base import StepTerms
from burn_tf.methods.joint_embedding import JointEmbedding
from burn_tf.methods.prototypes import Prototypes
from burn_tf.methods.queue import KeyQueue
from burn_tf.methods.update_figures import mutual_information


@tf.keras.utils.register_keras_serializable(package="burn_tf")
class SwAV(JointEmbedding):
    """Swapping assignments between views, with multi-crop and a queue.

        s_k = <hat z_k, hat c>                         scores [B, P] of view k with the prototypes
        q_g = sinkhorn(s_g / epsilon)                  codes of the first G views, no gradient
        L = mean over g <= G and k != g of -sum_p q_g log softmax(s_k / T)

    Codes are shared out evenly over the prototypes by the global batch together, and by the queue's
    embeddings of earlier images with it, once the queue is in use.

    Args:
        backbone: f, model from [B, H, W, 3] to [B, D]; built for any size where views differ in it.
        projector: g, model from [B, D] to [B, d], or None for Dense - BatchNorm - ReLU - Dense of
            the sizes below.
        prototypes: the layer `Prototypes` restored from a saved model; None builds it.
        hidden_dim: hidden size of a projector built here; 2048 (the authors' code's).
        embedding_dim: d of a projector built here; 128 (the paper's).
        num_prototypes: P of prototypes built here, >= 2; 3000 (the paper's).
        temperature: T > 0; 0.1 (the paper's).
        epsilon: of Sinkhorn, > 0; 0.05 (the paper's). Larger means softer codes.
        iterations: of Sinkhorn, >= 1; 3 (the paper's).
        global_views: G >= 1, the first views, from which codes are computed; 2 (the paper's). The
            others, usually smaller crops, only predict.
        queue_size: earlier embeddings kept of each global view, a multiple of the global batch; 0,
            the default, is no queue (3840 in the paper, for batches of 256).
        queue_start: update from which the queue is used, once it is full; >= 0, in each stage anew.
            The paper waits for 15 epochs.
        frozen_steps: first updates that leave the prototypes as they are; >= 0, 0 by default (one
            epoch in the paper).
        total_steps, regularizer, seed, name: as in `SSLMethod`; the seed is also that of the
            queue's first rows.

    Logged beside the loss: `code_information`, the mutual information in nats between the images of
    a batch and their codes, H(mean q) - mean H(q). Where all images have one embedding the only
    codes that are shared out evenly are uniform: the loss stands at log P, this figure at 0, and
    nothing is learned. A lower `epsilon` helps; the authors advise 0.03.

    Views: K >= 2 and >= G tensors [B, H, W, 3] float32, which may differ in H and W.

    Raises:
        UserError: for options out of range, prototypes of another size than the embeddings, too
            few views, a batch that does not divide the queue.

    Example:
        >>> backbone = burn_tf.backbones.ReActNetTiny(include_top=False, pooling="avg")
        >>> model = SwAV(backbone, hidden_dim=32, embedding_dim=16, num_prototypes=30)
        >>> model.compile(tf.keras.optimizers.SGD(0.1))

    Source: Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster
        Assignments, NeurIPS 2020, sec. 3, eqs. 1 to 5, and appendix A, arXiv 2006.09882.
    Departs from source: the queue fills from the first update on, not from `queue_start`; batch
        norm sees one view at a time.
    """

    network_names = ("projector", "prototypes")
    option_names = (
        "temperature",
        "epsilon",
        "iterations",
        "global_views",
        "queue_size",
        "queue_start",
        "frozen_steps",
    )

    def __init__(
        self,
        backbone: tf.keras.Model,
        projector: tf.keras.Model | None = None,
        prototypes: tf.keras.layers.Layer | None = None,
        *,
        hidden_dim: int = 2048,
        embedding_dim: int = 128,
        num_prototypes: int = 3000,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        global_views: int = 2,
        queue_size: int = 0,
        queue_start: int = 0,
        frozen_steps: int = 0,
        **options: Any,
    ) -> None:
        head = {"hidden_dims": [hidden_dim], "output_dim": embedding_dim}
        super().__init__(backbone, projector, head, **options)
        self.temperature = check_range("temperature", temperature, low=0.0, low_open=True)
        self.epsilon = check_range("epsilon", epsilon, low=0.0, low_open=True)
        self.iterations = check_integer("iterations", iterations, low=1)
        self.global_views = check_integer("global_views", global_views, low=1)
        self.queue_size = check_integer("queue_size", queue_size, low=0)
        self.queue_start = check_integer("queue_start", queue_start, low=0)
        self.frozen_steps = check_integer("frozen_steps", frozen_steps, low=0)
        self.prototypes = prototypes or Prototypes(num_prototypes, name="prototypes")
        self._build_prototypes()
        self.queues = [self._new_queue(view) for view in range(global_views if queue_size else 0)]
        # Variables of the model's own are saved with it.
        self.queue_state = [state for q in self.queues for state in (q.keys, q.position)]
        # Rows that each queue was given: what it begins with counts for nothing.
        self.queue_rows = tf.Variable(0, trainable=False, dtype=tf.int64, name="queue_rows")

    def _build_prototypes(self) -> None:
        if not isinstance(self.prototypes, Prototypes):
            kind = type(self.prototypes).__name__
            raise UserError(
                f"`prototypes` must be a layer burn_tf.methods.Prototypes. Received: {kind}"
            )
        if not self.prototypes.built:
            self.prototypes.build((None, self.embedding_dim))
        size = int(self.prototypes.kernel.shape[-1])
        if size != self.embedding_dim:
            raise UserError(
                f"`prototypes` must be of the embeddings' size, {self.embedding_dim}. "
                f"Received: {size}"
            )

    def _new_queue(self, view: int) -> KeyQueue:
        return KeyQueue(self.queue_size, self.embedding_dim, seed=self.seed + view)

    def learning_networks(self) -> dict[str, Sequence[tf.keras.layers.Layer]]:
        return {**super().learning_networks(), "prototypes": [self.prototypes]}

    @property
    def looks_across_the_batch(self) -> bool:
        return True

    def check_views(self, count: int) -> None:
        check_integer("num_views", count, low=max(2, self.global_views))

    def check_batch(self, batch_size: int) -> None:
        super().check_batch(batch_size)
        for queue in self.queues[:1]:
            queue.check_batch(batch_size)

    def compute_terms(self, views: Sequence[tf.Tensor], step: tf.Tensor) -> StepTerms:
        output = self.embed(views)
        embeddings = tf.unstack(output.embeddings, num=len(views))
        frozen = step < self.frozen_steps
        scores = [self.prototypes(embedding, frozen=frozen) for embedding in embeddings]
        codes = [self._codes(view, scores[view], step) for view in range(self.global_views)]
        if self.queues:
            output = dataclasses.replace(
                output, remembered=tuple(map(tf.stop_gradient, embeddings[: self.global_views]))
            )
        losses = swapped_prediction(tf.stack(codes), tf.stack(scores), self.temperature)
        output.terms["swapped_prediction"] = tf.reduce_mean(losses)
        output.figures["code_information"] = mutual_information(distribute.all_gather(codes[0]))
        return output

    def _codes(self, view: int, scores: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """This replica's rows [B, P] of the codes that the global batch shares out."""
        everyone = distribute.all_gather(tf.stop_gradient(scores))
        return distribute.own_rows(self._shared_out(view, everyone, step))

    def remember(self, rows: Sequence[tf.Tensor]) -> None:
        for queue, embeddings in zip(self.queues, rows, strict=True):
            everyone = distribute.all_gather(embeddings)
            queue.push(everyone)
        if self.queues:
            self.queue_rows.assign_add(tf.shape(everyone, out_type=tf.int64)[0])

    def carried_state(self) -> list[tf.Variable]:
        return [*super().carried_state(), *self.queue_state, self.queue_rows]

    def _shared_out(self, view: int, scores: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Codes [N, P] of the global batch, with the help of the queue when it is in use."""
        if not self.queues:
            return sinkhorn(scores, self.epsilon, self.iterations)
        batch = tf.shape(scores)[0]

        def with_queue() -> tf.Tensor:
            earlier = self.prototypes(tf.convert_to_tensor(self.queues[view].keys))
            joined = tf.concat([scores, tf.stop_gradient(earlier)], axis=0)
            return sinkhorn(joined, self.epsilon, self.iterations)[:batch]

        return tf.cond(
            (self.queue_rows >= self.queue_size) & (step >= self.queue_start),
            with_queue,
            lambda: sinkhorn(scores, self.epsilon, self.iterations),
        )
