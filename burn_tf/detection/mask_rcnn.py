"""Faster R-CNN and Mask R-CNN on the pyramid of a binary backbone, by tf-models-official."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import importlib.util
import json
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf._compat import is_functional
from burn_tf._files import atomic_write
from burn_tf.backbones import end_points
from burn_tf.convert.safetensors import (
    SUFFIX,
    data_sha256,
    read_safetensors,
    safetensors_bytes,
)
from burn_tf.detection.canvas import CanvasBatch
from burn_tf.detection.region_settings import RegionSettings

# The package that tf-models-official installs. It pins TensorFlow 2.20, so that it cannot be among
# this library's own requirements.
_PACKAGE = "official"
_ASPECTS = (0.5, 1.0, 2.0)
_KIND = "burn_tf.detection.MaskRCNN"
_FINEST_LEVEL = 2


def require_models() -> None:
    """Refuse where tf-models-official is missing.

    Raises:
        UserError: it is; the message says how to get it.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        raise UserError(
            "Mask R-CNN needs tf-models-official, which pins TensorFlow 2.20: make an environment "
            "of its own with requirements/segmentation.txt (it says how). Received: no such package"
        )


@functools.cache
def _library() -> SimpleNamespace:
    """What is used of tf-models-official. It ships no types and is no requirement of ours."""
    require_models()
    places = {
        "config": "official.vision.configs.maskrcnn",
        "decoders": "official.vision.configs.decoders",
        "factory": "official.vision.modeling.factory",
        "fpn": "official.vision.modeling.decoders.fpn",
        "anchor": "official.vision.ops.anchor",
        "task": "official.vision.tasks.maskrcnn",
    }
    return SimpleNamespace(**{name: importlib.import_module(at) for name, at in places.items()})


class MaskRCNN:
    """Faster R-CNN or Mask R-CNN on the end points of a backbone.

    The backbone's levels (strides 4, 8, 16, 32, as far as it reaches) and one coarser level go
    through a feature pyramid; region proposals, box head, mask head and all five losses are
    tf-models-official's. The network learns as a whole, the binary backbone included.

    Args:
        backbone: one of this library's, with or without pooling or a top; its weights are copied.
        num_classes: of objects, at least 1; the background is one more, inside.
        image_size: pixels of an image's longer side, at least 32.
        settings: sizes.

    Attributes:
        model: tf-models-official's Keras model.
        side: pixels of the square canvas: `image_size` and what makes all levels whole.

    Raises:
        UserError: tf-models-official is missing, or the backbone has no named end of stride 4.

    Example (in the environment of requirements/segmentation.txt):
        network = MaskRCNN(ReActNetA(include_top=False), num_classes=80, image_size=512)
        losses = network.train_step(batch, rate=0.02)

    Source: He et al., Mask R-CNN, ICCV 2017, arXiv 1703.06870; Ren et al., Faster R-CNN, NeurIPS
        2015, arXiv 1506.01497; feature pyramid, Lin et al., CVPR 2017, arXiv 1612.03144.
    Departs from source: as tf-models-official does (batch norm in pyramid and heads, four
        convolutions in the box head). The anchors and regions that enter a loss are drawn inside
        it from TensorFlow's global seed.
    """

    def __init__(
        self,
        backbone: tf.keras.Model,
        num_classes: int,
        image_size: int,
        settings: RegionSettings | None = None,
    ) -> None:
        check_integer("num_classes", num_classes, low=1)
        check_integer("image_size", image_size, low=32)
        strides = _levels(backbone)
        self.settings = settings or RegionSettings()
        require_models()
        self._low, self._high = _FINEST_LEVEL, max(map(int, strides)) + 1
        sizes = {"num_classes": num_classes, **dataclasses.asdict(self.settings)}
        self._facts = json.dumps({"backbone": backbone.name, **sizes}, sort_keys=True)
        unit = 2**self._high
        self.side = -(-image_size // unit) * unit
        self._config = self._configuration(num_classes)
        self._task = _library().task.MaskRCNNTask(
            _library().config.MaskRCNNTask(model=self._config)
        )
        self.model = self._build(backbone, strides)
        self._velocities = [
            tf.Variable(tf.zeros_like(variable), trainable=False)
            for variable in self.model.trainable_variables
        ]
        grid = _library().anchor.build_anchor_generator(
            self._low, self._high, 1, list(_ASPECTS), self.settings.anchor_scale
        )
        self._anchors = dict(grid((self.side, self.side)))
        self._labeler = _library().anchor.RpnAnchorLabeler(
            rpn_batch_size_per_im=self.settings.anchors_per_image
        )
        self._trained = tf.function(self._train, reduce_retracing=True)
        self._detected = tf.function(self._detect, reduce_retracing=True)

    def _configuration(self, num_classes: int) -> Any:
        s, config = self.settings, _library().config
        made = config.MaskRCNN(
            num_classes=num_classes + 1,
            input_size=[self.side, self.side, 3],
            min_level=self._low,
            max_level=self._high,
            include_mask=s.masks,
            anchor=config.Anchor(
                num_scales=1, aspect_ratios=list(_ASPECTS), anchor_size=s.anchor_scale
            ),
            rpn_head=config.RPNHead(num_filters=s.filters),
            detection_head=config.DetectionHead(
                num_convs=s.head_convs, num_filters=s.filters, fc_dims=s.fc_units
            ),
            roi_generator=config.ROIGenerator(
                pre_nms_top_k=s.candidates,
                num_proposals=s.proposals,
                test_pre_nms_top_k=min(s.candidates, 1000),
                test_num_proposals=s.proposals,
            ),
            roi_sampler=config.ROISampler(num_sampled_rois=s.regions),
            detection_generator=config.DetectionGenerator(
                pre_nms_score_threshold=s.score_threshold, max_num_detections=s.max_detections
            ),
            mask_head=config.MaskHead(num_convs=s.head_convs, num_filters=s.filters),
            mask_sampler=config.MaskSampler(num_sampled_masks=min(s.mask_regions, s.regions)),
        )
        made.norm_activation.norm_momentum = s.norm_momentum
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        made.norm_activation.use_sync_bn = replicas > 1
        return made

    def _build(self, backbone: tf.keras.Model, levels: dict[str, str]) -> tf.keras.Model:
        images = tf.keras.Input((self.side, self.side, backbone.input_shape[-1]))
        own = tf.keras.models.clone_model(backbone, input_tensors=images)
        own.set_weights(backbone.get_weights())
        own.trainable = True
        outputs = {level: own.get_layer(name).output for level, name in levels.items()}
        pyramid = tf.keras.Model(images, outputs, name="pyramid")
        norm = self._config.norm_activation
        decoder = _library().fpn.FPN(
            {level: output.shape for level, output in outputs.items()},
            self._low,
            self._high,
            num_filters=self.settings.filters,
            use_sync_bn=norm.use_sync_bn,
            norm_momentum=norm.norm_momentum,
            norm_epsilon=norm.norm_epsilon,
        )
        specs = tf.keras.layers.InputSpec(shape=[None, self.side, self.side, 3])
        model = _library().factory.build_maskrcnn(
            specs, self._config, backbone=pyramid, decoder=decoder
        )
        # One call makes the variables of the heads.
        model(images, image_shape=tf.keras.Input([2]), training=False)
        return model

    def train_step(
        self,
        batch: CanvasBatch,
        rate: float,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
    ) -> dict[str, float]:
        """One update by SGD: v <- momentum v + g + weight_decay w; w <- w - rate v.

        Args:
            batch: on a canvas of `side` pixels.
            rate: learning rate.
            momentum: inside [0, 1).
            weight_decay: at least 0; of kernels, and not of biases or of batch norm.

        Returns:
            The losses before it: total_loss and its parts rpn_score_loss, rpn_box_loss,
            frcnn_cls_loss, frcnn_box_loss and mask_loss.
        """
        arrays = [batch.images, batch.shown, batch.boxes, batch.classes, batch.masks]
        numbers = [tf.constant(value, tf.float32) for value in (rate, momentum, weight_decay)]
        losses = self._trained(*map(tf.convert_to_tensor, arrays), *numbers)
        return {name: float(value) for name, value in losses.items()}

    def _train(
        self,
        images: tf.Tensor,
        shown: tf.Tensor,
        boxes: tf.Tensor,
        classes: tf.Tensor,
        masks: tf.Tensor,
        rate: tf.Tensor,
        momentum: tf.Tensor,
        weight_decay: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        scores, offsets = self._anchor_targets(boxes)
        with tf.GradientTape() as tape:
            outputs = self.model(
                images,
                image_shape=shown,
                anchor_boxes=self._repeated_anchors(images),
                gt_boxes=boxes,
                gt_classes=classes,
                gt_masks=masks if self.settings.masks else None,
                training=True,
            )
            losses = self._task.build_losses(
                tf.nest.map_structure(lambda output: tf.cast(output, tf.float32), outputs),
                {"rpn_score_targets": scores, "rpn_box_targets": offsets},
            )
        gradients = tape.gradient(losses["total_loss"], self.model.trainable_variables)
        self._update(gradients, rate, momentum, weight_decay)
        return losses

    # Plain Python over the variables; autograph would warn of those of Larq.
    @tf.autograph.experimental.do_not_convert
    def _update(
        self,
        gradients: list[tf.Tensor | None],
        rate: tf.Tensor,
        momentum: tf.Tensor,
        weight_decay: tf.Tensor,
    ) -> None:
        for variable, velocity, gradient in zip(
            self.model.trainable_variables, self._velocities, gradients, strict=True
        ):
            if gradient is not None:
                # As PyTorch adds it; a bias and the numbers of batch norm are vectors.
                decay = weight_decay * variable if variable.shape.rank > 1 else 0.0
                velocity.assign(momentum * velocity + gradient + decay)
                variable.assign_sub(rate * velocity)

    def _anchor_targets(self, boxes: tf.Tensor) -> tuple[dict[str, Any], dict[str, Any]]:
        """What the region proposals learn of each image: objectness and offsets, per level."""

        def one(padded: tf.Tensor) -> tuple[dict[str, Any], dict[str, Any]]:
            own = tf.boolean_mask(padded, padded[:, 0] >= 0)
            return self._labeler.label_anchors(self._anchors, own, tf.ones_like(own[:, :1]))

        shapes = {level: grid.shape for level, grid in self._anchors.items()}
        signature = (
            {k: tf.TensorSpec((s[0], s[1], len(_ASPECTS)), tf.int32) for k, s in shapes.items()},
            {k: tf.TensorSpec(s, tf.float32) for k, s in shapes.items()},
        )
        scores, offsets = tf.map_fn(one, boxes, fn_output_signature=signature)
        return scores, offsets

    def _repeated_anchors(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        copies = [tf.shape(images)[0], 1, 1, 1]
        return {level: tf.tile(grid[None], copies) for level, grid in self._anchors.items()}

    def detect(self, images: np.ndarray, shown: np.ndarray) -> dict[str, np.ndarray]:
        """What is in images, best first.

        Args:
            images: float32 [B, side, side, 3], as `CanvasBatch` has them.
            shown: float32 [B, 2], rows and columns that the image covers.

        Returns:
            boxes float32 [B, M, 4], (y_min, x_min, y_max, x_max) on the canvas; classes int64
            [B, M], from 0; scores float32 [B, M]; counts int64 [B], how many of M are detections;
            with masks, masks float32 [B, M, 28, 28] inside the box, from 0 to 1.
        """
        found = self._detected(tf.convert_to_tensor(images), tf.convert_to_tensor(shown))
        return {name: value.numpy() for name, value in found.items()}

    def _detect(self, images: tf.Tensor, shown: tf.Tensor) -> dict[str, tf.Tensor]:
        anchors = self._repeated_anchors(images)
        found = self.model(images, image_shape=shown, anchor_boxes=anchors, training=False)
        kept = {
            "boxes": tf.cast(found["detection_boxes"], tf.float32),
            "classes": tf.cast(found["detection_classes"], tf.int64) - 1,
            "scores": tf.cast(found["detection_scores"], tf.float32),
            "counts": tf.cast(found["num_detections"], tf.int64),
        }
        if self.settings.masks:
            kept["masks"] = tf.cast(found["detection_masks"], tf.float32)
        return kept

    def save_weights(self, path: str | os.PathLike[str]) -> None:
        """Write all weights to one file, whole or not at all; nothing in it is ever executed.

        Args:
            path: ending in ".safetensors".

        Raises:
            UserError: another suffix.
        """
        name = os.fspath(path)
        if not name.endswith(SUFFIX):
            raise UserError(f"`path` must end in {SUFFIX}. Received: {name!r}")
        weights = self._numbered_weights()
        texts = {"kind": _KIND, "network": self._facts, "sha256": data_sha256(weights)}
        atomic_write(path, safetensors_bytes(weights, texts))

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Read what `save_weights` wrote from a network of the same kind and sizes.

        Args:
            path: the file.

        Raises:
            UserError: no such file, a damaged one, or one of another network.
        """
        weights, texts = read_safetensors(path)
        name, own = os.fspath(path), self._numbered_weights()
        if texts.get("kind") != _KIND or texts.get("sha256") != data_sha256(weights):
            raise UserError(f"`path` must be a whole file of save_weights. Received: {name!r}")
        same = texts["network"] == self._facts and {k: v.shape for k, v in weights.items()} == {
            k: v.shape for k, v in own.items()
        }
        if not same:
            raise UserError(
                f"`path` must hold a network of the same sizes. Received: {name!r} with "
                f"{texts['network']}"
            )
        self.model.set_weights([weights[number] for number in own])

    def _numbered_weights(self) -> dict[str, np.ndarray]:
        """By their place: Keras counts layers through a process, so that names say nothing."""
        values = self.model.get_weights()
        return {f"{place:05d}": np.asarray(value) for place, value in enumerate(values)}


def _levels(backbone: tf.keras.Model) -> dict[str, str]:
    """Level, such as "2" for stride 4, -> name of the layer that ends it."""
    model = isinstance(backbone, tf.keras.Model) and is_functional(backbone)
    found = end_points(backbone) if model else {}
    if f"P{_FINEST_LEVEL}" not in found:
        raise UserError(
            "`backbone` must be a Keras model of burn_tf.backbones with an end of stride 4, such "
            f"as ReActNetA. Received: {getattr(backbone, 'name', backbone)!r} with {sorted(found)}"
        )
    return {level.removeprefix("P"): name for level, name in found.items()}
