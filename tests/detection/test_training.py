"""Training: the schedule, batches without boxes, mistakes, and eight images by heart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from burn_tf._checks import UserError
from burn_tf.backbones import ReActNetTiny
from burn_tf.data import Objects
from burn_tf.detection import Detections, Detector, DetectorTraining, training_batches
from burn_tf.detection.training import TrainingStep
from burn_tf.export import to_litert
from burn_tf.export.runtime import load_runtime
from tests.detection.made_boxes import NAMES, made_boxes

TINY = {"include_top": False, "stem_strides": 2}


def small(width: int = 8, depth: int = 1) -> Detector:
    tf.keras.utils.set_random_seed(0)
    return Detector.of(ReActNetTiny(**TINY), NAMES, 64, width=width, depth=depth)


@pytest.fixture(scope="module")
def built() -> tuple[Detector, list[np.ndarray]]:
    """One detector for all tests that train but a little, and the weights it starts from."""
    detector = small()
    return detector, detector.network.get_weights()


@pytest.fixture
def detector(built: tuple[Detector, list[np.ndarray]]) -> Detector:
    built[0].network.set_weights(built[1])
    return built[0]


def values(detector: Detector) -> list[np.ndarray]:
    return [variable.numpy() for variable in detector.network.trainable_variables]


def test_the_rate_of_every_update():
    settings = DetectorTraining(warmup_updates=1000)
    # 24 epochs of 1,000 updates: a warm-up of 1,000; lower from the epochs 18 and 22 on.
    places = [0, 499, 999, 17_999, 18_000, 21_999, 22_000, 23_999]
    rates = [settings.rate(place, 24_000) for place in places]
    np.testing.assert_allclose(rates, [1e-5, 5e-3, 1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4])
    # A short one warms up over a tenth of its updates.
    assert settings.rate(0, 48) == pytest.approx(0.01 / 4)
    assert settings.rate(3, 48) == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("decay_epochs", (-1,)),
        ("decay_factor", 0.0),
        ("learning_rate", 0.0),
        ("momentum", 1.0),
        ("weight_decay", -1.0),
        ("max_norm", 0.0),
        ("min_scale", 1.5),
    ],
)
def test_numbers_out_of_range(name, value):
    with pytest.raises(UserError, match=f"`{name}` must be .*Received: "):
        DetectorTraining(**{name: value})


@pytest.fixture
def eager() -> Iterator[None]:
    """No graph: to trace one takes ten times as long as the few updates that are looked at here."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def test_batches_without_any_box_stay_finite_and_teach_the_background(eager, detector):
    source = made_boxes(number=4, empty=(0, 1, 2, 3))
    heads = [detector.model.classification_head, detector.model.box_head]
    before = [head.get_weights() for head in heads]
    settings = DetectorTraining(epochs=2, batch_size=4, weight_decay=0.0, warmup_updates=0)
    losses = settings.run(detector, source)
    assert len(losses) == 2 and np.isfinite(losses).all()
    assert all(np.isfinite(value).all() for value in values(detector))
    # Every class became less likely everywhere; of boxes there was nothing to learn.
    assert (heads[0].get_weights()[-1] < before[0][-1]).all()
    for value, same in zip(heads[1].get_weights(), before[1], strict=True):
        np.testing.assert_array_equal(value, same)


def test_one_update_by_hand(eager, detector):
    """Plain SGD with decay of kernels on the gradient of the loss that the step reports."""
    source = made_boxes(number=2)
    start = detector.network.get_weights()
    settings = DetectorTraining(weight_decay=0.1, max_norm=1e9, momentum=0.5)
    ((images, boxes, classes),) = training_batches(source, image_size=64, batch_size=2)
    before, step = values(detector), TrainingStep(detector, settings)
    first = float(step(images, boxes, classes, 0.0))
    for old, new in zip(before, values(detector), strict=True):
        np.testing.assert_array_equal(old, new)
    biases = [i for i, value in enumerate(before) if value.ndim == 1]
    kernels = [i for i, value in enumerate(before) if value.ndim > 1]
    step(images, boxes, classes, 1e-3)
    with_decay = values(detector)
    # The same again without decay: kernels differ by rate * decay * value, vectors do not.
    detector.network.set_weights(start)
    plain = TrainingStep(detector, dataclasses.replace(settings, weight_decay=0.0))
    assert float(plain(images, boxes, classes, 0.0)) == pytest.approx(first, rel=1e-6)
    plain(images, boxes, classes, 1e-3)
    without = values(detector)
    for i in biases:
        np.testing.assert_allclose(with_decay[i], without[i], atol=1e-7)
    for i in kernels:
        np.testing.assert_allclose(with_decay[i], without[i] - 1e-4 * before[i], atol=2e-7)


def test_a_loss_that_is_not_finite_stops_with_one_line(eager, detector):
    settings = DetectorTraining(
        epochs=4, batch_size=4, learning_rate=1e30, max_norm=1e30, warmup_updates=0
    )
    with pytest.raises(UserError, match=r"not finite at update .*lower `learning_rate`"):
        settings.run(detector, made_boxes(number=4))


def test_a_class_that_the_detector_lacks_is_refused(detector):
    source = dataclasses.replace(made_boxes(number=1), objects=(Objects.of([[1, 1, 9, 9]], [7]),))
    with pytest.raises(UserError, match=r"classes below 3.*class 7 in 'made'"):
        DetectorTraining().run(detector, source)


def surest(boxes: np.ndarray, scores: np.ndarray) -> Detections:
    """What the guide says to do with a file's boxes [A, 4] and scores [A, classes]."""
    best, classes = scores.max(axis=1), scores.argmax(axis=1)
    kept = np.concatenate(
        [
            np.flatnonzero(classes == number)[
                tf.image.non_max_suppression(
                    boxes[classes == number], best[classes == number], 100, 0.5, 0.05
                ).numpy()
            ]
            for number in range(scores.shape[1])
        ]
    )
    order = kept[np.argsort(-best[kept])]
    return Detections(np.clip(boxes[order], 0, 64), best[order], classes[order])


@pytest.mark.slow
def test_eight_images_by_heart():
    """The tiny binary network with a narrow head finds what it was shown; empty images stay so."""
    pytest.importorskip("pycocotools", reason="AP needs the extra burn_tf[detection]")
    from burn_tf.evaluation.detect import detection_metrics

    source = made_boxes(number=8, empty=(2,))
    detector = small(width=32, depth=2)
    settings = DetectorTraining(
        epochs=120, decay_epochs=(84,), batch_size=8, min_scale=1.0, learning_rate=0.01
    )
    losses = settings.run(detector, source)
    found = detector.detect_source(source)
    metrics, _ = detection_metrics(source, found, NAMES)
    assert metrics["ap50"] > 80 and metrics["ap50_voc07"] > 80
    assert losses[-1] < 0.5 * losses[0]
    assert not (found[2].scores > 0.3).any()
    pictures = np.stack([source.image(index) for index in range(8)])
    content = to_litert(detector, precision="int8", calibration=pictures).flatbuffer
    boxes, scores = load_runtime(content).run_all(pictures)
    in_integers = [surest(*one) for one in zip(boxes * 64, scores, strict=True)]
    metrics, _ = detection_metrics(source, in_integers, NAMES)
    assert metrics["ap50"] > 75
