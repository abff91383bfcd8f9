"""The protocol of instance segmentation: with a network that is known, and with the real one."""

from __future__ import annotations

import dataclasses
import importlib.util
import math

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.data import Objects
from burn_tf.detection import mask_rcnn
from burn_tf.detection.masks import crop_mask
from burn_tf.evaluation import EvaluationData, Result
from burn_tf.evaluation.segment import InstanceSegmentation
from tests.detection.made_outlines import made_outlines

pytest.importorskip("pycocotools")


class ColourNetwork:
    """Sees red and blue things; takes the arguments of `MaskRCNN`."""

    made: list[ColourNetwork]

    def __init__(self, backbone, num_classes, image_size, settings):
        self.arguments = (num_classes, image_size)
        self.settings, self.side = settings, image_size + 8
        self.steps, self.loss = [], 1.0
        self.made.append(self)

    def train_step(self, batch, rate, momentum, weight_decay):
        self.steps.append((batch.images.shape, rate, momentum, weight_decay))
        return {"total_loss": self.loss, "mask_loss": 0.5}

    def save_weights(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"weights")

    def detect(self, images, shown):
        found = {
            "boxes": np.zeros((len(images), 4, 4), np.float32),
            "classes": np.zeros((len(images), 4), np.int64),
            "scores": np.zeros((len(images), 4), np.float32),
            "counts": np.zeros(len(images), np.int64),
            "masks": np.zeros((len(images), 4, 28, 28), np.float32),
        }
        for i, image in enumerate(images):
            for number, channel in enumerate((0, 2)):
                own = image[..., channel] - image[..., 1] > 1.5
                if own.any():
                    rows, columns = (np.flatnonzero(own.any(axis=axis)) for axis in (1, 0))
                    place = found["counts"][i]
                    box = [rows[0], columns[0], rows[-1] + 1, columns[-1] + 1]
                    found["boxes"][i, place], found["classes"][i, place] = box, number
                    mask = crop_mask(own, np.array(box)[[1, 0, 3, 2]], 28)
                    found["masks"][i, place], found["scores"][i, place] = mask, 0.9
                    found["counts"][i] += 1
        if not self.settings.masks:
            del found["masks"]
        return found


@pytest.fixture
def colours(monkeypatch):
    monkeypatch.setattr(mask_rcnn, "MaskRCNN", ColourNetwork)
    monkeypatch.setattr(mask_rcnn, "require_models", lambda: None)
    ColourNetwork.made = []
    return ColourNetwork.made


def data(train=None, test=None, **settings):
    train = made_outlines(6, empty=(3,)) if train is None else train
    test = made_outlines(5, seed=1, empty=(2,)) if test is None else test
    return EvaluationData(train, dataclasses.replace(test, split="test"), 48, **settings)


def backbone():
    """Of no effect: the network above is known."""
    return tf.keras.Sequential([tf.keras.Input((8, 8, 3)), tf.keras.layers.Flatten()])


def test_the_schedule_is_mask_rcnns():
    probe = InstanceSegmentation()
    assert probe.name == "segment:coco"
    assert [round(probe.rate(0, update), 6) for update in (0, 249, 499, 500)] == [
        0.00004,
        0.01,
        0.02,
        0.02,
    ]
    rates = [probe.rate(epoch, 9999) for epoch in (7, 8, 10, 11)]
    np.testing.assert_allclose(rates, [0.02, 0.002, 0.002, 0.0002])
    assert InstanceSegmentation(batch_size=4, warmup_updates=0).rate(0, 0) == 0.005
    again = InstanceSegmentation(**probe.get_config())
    assert again.get_config() == probe.get_config()


def test_a_network_that_sees_everything_gets_nearly_everything(colours, tmp_path):
    """Images of 96 px are seen at 48 px, so that edges are not exact and AP50 is what must hold."""
    probe = InstanceSegmentation(epochs=2, batch_size=4, warmup_updates=4, decay_epochs=(1,))
    result = probe.run(backbone(), data(output=tmp_path))
    metrics = {"ap", "ap50", "ap75", "box_ap", "box_ap50", "box_ap75"}
    assert result.protocol == "segment:coco" and set(result.metrics) == metrics
    assert result.metrics["ap50"] == pytest.approx(100)
    assert result.metrics["box_ap50"] == pytest.approx(100)
    assert result.metrics["ap"] > 70
    network = colours[0]
    assert network.arguments == (2, 48) and network.settings.masks
    shapes = [(4, 56, 56, 3), (2, 56, 56, 3)] * 2
    rates = [0.00125, 0.0025, 0.000375, 0.0005]  # a quarter of 0.02, and a tenth from epoch 1 on
    assert [step[0] for step in network.steps] == shapes
    np.testing.assert_allclose([step[1] for step in network.steps], rates)
    assert {step[2:] for step in network.steps} == {(0.9, 1e-4)}
    facts = result.provenance
    assert [row["class"] for row in facts["classes"]] == ["red", "blue"]
    assert facts["losses_by_epoch"] == [{"total_loss": 1.0, "mask_loss": 0.5}] * 2
    assert facts["settings"]["epochs"] == 2 and "long side to 48 px" in facts["data"]["resize"]
    assert {"tf-models-official", "pycocotools", "tensorflow"} <= set(facts["versions"])
    assert (tmp_path / "mask_rcnn.safetensors").is_file() and len(facts["detections"]) == 5
    assert Result.from_json(result.to_json()) == result


def test_masks_that_are_boxes_are_half_right(colours, monkeypatch):
    """A triangle is half of its box: no mask is right, every box is."""
    detect = ColourNetwork.detect

    def boxes(self, images, shown):
        found = detect(self, images, shown)
        found["masks"][:] = 1
        return found

    monkeypatch.setattr(ColourNetwork, "detect", boxes)
    result = InstanceSegmentation(epochs=1).run(backbone(), data())
    assert result.metrics["ap75"] == 0 and result.metrics["box_ap50"] == pytest.approx(100)


def test_without_masks_boxes_alone_are_asked_for(colours):
    plain = [
        dataclasses.replace(
            source,
            objects=tuple(Objects.of(one.boxes, one.classes) for one in source.objects),
        )
        for source in (made_outlines(4), made_outlines(4, seed=1))
    ]
    result = InstanceSegmentation("boxes", masks=False, epochs=1).run(backbone(), data(*plain))
    assert set(result.metrics) == {"ap", "ap50", "ap75", "ap50_voc07"}
    assert result.metrics["ap50"] == pytest.approx(100) and not colours[0].settings.masks
    with pytest.raises(UserError, match=r"needs outlines.*'detect:voc'\. Received: 'made'"):
        InstanceSegmentation().check(data(*plain))


@pytest.mark.parametrize("side", ["train", "test"])
def test_refuses_splits_without_what_it_needs(colours, side):
    source = made_outlines(3)
    nothing = made_outlines(3, empty=(0, 1, 2))
    bare = dataclasses.replace(source, objects=())
    renamed = dataclasses.replace(source, class_names=("red",))
    for other, message in (
        (nothing, f"`{side}` must have an object"),
        (bare, "needs boxes"),
        (renamed, "must have the same classes"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            InstanceSegmentation().run(backbone(), data(**{side: other}))
        assert "\n" not in str(caught.value) and "Received: " in str(caught.value)
    assert not colours


def test_run_lengths_of_another_size_are_refused_before_the_training(colours):
    source = made_outlines(3)
    runs = {"size": [48, 96], "counts": [0, 48 * 96]}
    crowd = Objects.of([[0, 0, 96, 96]], [0], crowd=[True], segmentations=[runs])
    wrong = dataclasses.replace(source, objects=(*source.objects[:2], crowd))
    with pytest.raises(UserError, match=r"size \[96, 96\]. Received: \[48, 96\]"):
        InstanceSegmentation().run(backbone(), data(test=wrong))
    assert not colours


def test_a_loss_that_is_not_finite_stops_the_run(colours, monkeypatch):
    monkeypatch.setattr(
        ColourNetwork, "train_step", lambda self, *given: {"total_loss": 1.0, "mask_loss": math.nan}
    )
    with pytest.raises(UserError, match=r"diverged.*mask_loss not finite at update 0"):
        InstanceSegmentation().run(backbone(), data())


def test_without_the_package_it_says_so_in_one_line(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"requirements/segmentation\.txt") as caught:
        InstanceSegmentation().run(backbone(), data())
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("official") is None,
    reason="tf-models-official is not installed: requirements/segmentation.txt",
)
def test_mask_rcnn_on_the_tiny_binary_backbone_learns_six_images():
    sizes = {
        "filters": 32,
        "head_convs": 1,
        "fc_units": 64,
        "anchor_scale": 6.0,
        "anchors_per_image": 64,
        "candidates": 200,
        "proposals": 60,
        "regions": 32,
        "mask_regions": 8,
        "max_objects": 4,
        "max_detections": 10,
        "norm_momentum": 0.9,
    }
    probe = InstanceSegmentation(
        epochs=60,
        learning_rate=0.27,
        decay_epochs=(48,),
        warmup_updates=20,
        batch_size=6,
        sizes=sizes,
    )
    source = made_outlines(6)
    tf.keras.utils.set_random_seed(0)
    tiny = ReActNetTiny((None, None, 3), include_top=False, stem_strides=2)
    result = probe.run(tiny, EvaluationData(source, source, 96))
    assert result.metrics["ap50"] > 80 and result.metrics["box_ap50"] > 80
