"""Two views per image on ONE core: 32 px from memory and 224 px from JPEG files of 500 x 375.

    python benchmarks/views.py [--policy moco_v2] [--seconds 6] [--size 32] [--others]

prints one JSON line per case:

    name, ours, reference, ratio   images per second and core; the reference is Pillow with
                                   the same policy
    floor                          decoding the JPEG alone (224), reading the batch alone (32)
    target                         what the project promises: 4,000 and 150
    tf_image, keras_cv             with --others: the policy from tf.image's and KerasCV's parts

The process is pinned to one core, TensorFlow to one thread. Rates are images per second of CPU
time of this process (on an idle machine that is wall time), the best of three rounds in which all
take turns.

The reference works as torchvision on Pillow images does: crop, resize, flip, ImageEnhance in
random order, hue through HSV, grey, GaussianBlur, solarize, then normalisation in NumPy.
"""

import argparse
import functools
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator

# Before the imports: TensorFlow sizes its thread pools when it is loaded.
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# isort: off
from burn_tf.data import Policy, Source, get_policy, load_source, views_dataset  # noqa: E402
from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD  # noqa: E402

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image  # noqa: E402
from pillow_reference import (  # type: ignore[import-not-found]  # noqa: E402  a file beside this one
    photographs,
    pillow_view,
)

VIEWS = 2
TARGETS = {32: 4000, 224: 150}
BATCH = {32: 256, 224: 16}


def rate(batches: Iterator[int], seconds: float) -> float:
    """Images per second of this process' CPU time; the first two batches warm up."""
    for _ in range(2):
        next(batches)
    start, images = time.process_time(), 0
    while time.process_time() - start < seconds:
        images += next(batches)
    return images / (time.process_time() - start)


def best_rates(
    calls: dict[str, Callable[[], Iterator[int]]], seconds: float, rounds: int = 3
) -> dict[str, float]:
    """The best of some rounds in which all take turns: a neighbour's load comes and goes."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():  # started anew: a prefetch must not work for free
            found[name].append(rate(call(), seconds / rounds))
    return {name: max(values) for name, values in found.items()}


def ours(source: Source, policy: Policy, size: int) -> Iterator[int]:
    """The library's views."""
    dataset = views_dataset(
        source,
        policy,
        num_views=VIEWS,
        batch_size=BATCH[size],
        image_size=size,
        epochs=10**6,
        workers=1,
    )
    for views in dataset:
        yield int(views[0].shape[0])


def floor(source: Source, size: int) -> Iterator[int]:
    """What no augmentation can be faster than: the pixels of one image, as float32."""
    load, indices = source.loader(), tf.data.Dataset.range(source.num_images).repeat()
    if source.array is not None:
        dataset = indices.batch(BATCH[size]).map(lambda i: tf.cast(load(i), tf.float32))
        for batch in dataset.prefetch(1):
            yield int(batch.shape[0])
    for _ in indices.map(load, num_parallel_calls=1).prefetch(1):
        yield 1


def pillow(source: Source, policy: Policy, size: int) -> Iterator[int]:
    """The reference, batch by batch."""
    dice, i = random.Random(0), 0
    while True:
        batch = []
        for _ in range(BATCH[size]):
            image = _pillow_open(source, i % source.num_images)
            batch.append([pillow_view(image, policy, size, dice) for _ in range(VIEWS)])
            i += 1
        yield len(np.stack(batch))


def _pillow_open(source: Source, index: int) -> Image.Image:
    if source.array is not None:
        return Image.fromarray(source.array[index])
    return Image.open(source.paths[index]).convert("RGB")


def tf_image(source: Source, policy: Policy, size: int) -> Iterator[int]:
    """The same policy from tf.image's stateless functions; without blur, which it lacks."""
    load = source.loader()

    def view(image: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(image), tf.zeros([1, 0, 4]), seed, area_range=policy.crop_area,
            aspect_ratio_range=policy.crop_ratio, use_image_if_no_bounding_boxes=True,
        )  # fmt: skip
        values = (
            tf.image.resize(
                tf.slice(image, begin, extent), [size, size], antialias=policy.antialias
            )
            / 255.0
        )
        values = tf.image.stateless_random_flip_left_right(
            tf.reshape(values, [size, size, 3]), seed
        )
        values = tf.image.stateless_random_brightness(values, policy.brightness, seed)
        values = tf.image.stateless_random_contrast(
            values, 1 - policy.contrast, 1 + policy.contrast, seed
        )
        values = tf.image.stateless_random_saturation(
            values, 1 - policy.saturation, 1 + policy.saturation, seed
        )
        values = tf.clip_by_value(tf.image.stateless_random_hue(values, policy.hue, seed), 0.0, 1.0)
        return (values - tf.constant(IMAGENET_MEAN)) / tf.constant(IMAGENET_STD)

    def make(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = load(step % source.num_images)
        return view(image, tf.stack([step, 0])), view(image, tf.stack([step, 1]))

    for views in (
        tf.data.Dataset.range(10**9).map(make, num_parallel_calls=1).batch(BATCH[size]).prefetch(1)
    ):
        yield int(views[0].shape[0])


def keras_cv(source: Source, policy: Policy, size: int) -> Iterator[int]:
    """The same policy from KerasCV's preprocessing layers, on batches of images of one size."""
    import keras_cv

    layers = keras_cv.layers
    strength = [policy.brightness, policy.contrast, policy.saturation, policy.hue]
    jitter = layers.RandomColorJitter((0, 255), *strength)
    steps = [
        layers.RandomCropAndResize((size, size), policy.crop_area, policy.crop_ratio),
        layers.RandomFlip(),
    ]
    steps += [layers.RandomApply(jitter, rate=policy.jitter)]
    if policy.blur:
        steps.append(
            layers.RandomApply(layers.RandomGaussianBlur(13, policy.blur_sigma), rate=policy.blur)
        )
    load = source.loader()

    def view(images: tf.Tensor) -> tf.Tensor:
        for step in steps:
            images = step(images, training=True)
        return images

    def make(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images = tf.ensure_shape(tf.cast(images, tf.float32), [BATCH[size], None, None, 3])
        return view(images), view(images)

    pixels = tf.data.Dataset.range(source.num_images).repeat().map(load, num_parallel_calls=1)
    for views in (
        pixels.batch(BATCH[size], drop_remainder=True).map(make, num_parallel_calls=1).prefetch(1)
    ):
        yield int(views[0].shape[0])


def measure(
    source: Source, policy: Policy, size: int, seconds: float, others: bool
) -> dict[str, object]:
    """One JSON record."""
    makers = {"ours": ours, "reference": pillow}
    makers |= {"tf_image": tf_image, "keras_cv": keras_cv} if others else {}
    calls: dict[str, Callable[[], Iterator[int]]] = {
        name: functools.partial(make, source, policy, size) for name, make in makers.items()
    }
    rates = best_rates(calls | {"floor": functools.partial(floor, source, size)}, seconds)
    record: dict[str, object] = {"name": f"views_{size}px_{policy.name}", "unit": "images/s/core"}
    record |= {name: round(value, 1) for name, value in rates.items()}
    record["ratio"] = round(rates["ours"] / rates["reference"], 2)
    return record | {"target": TARGETS[size], "views": VIEWS, "batch": BATCH[size]}


def main() -> None:
    """Prints a line for 32 px and one for 224 px."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--policy", help="one policy for both sizes; default: cifar and moco_v2")
    parser.add_argument("--seconds", type=float, default=6.0, help="CPU seconds per measurement")
    parser.add_argument(
        "--size", type=int, choices=sorted(TARGETS), help="only this one, in pixels"
    )
    parser.add_argument("--others", action="store_true", help="also tf.image and KerasCV")
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    policies = [get_policy(args.policy or name) for name in ("cifar", "moco_v2")]
    if any(policy.rand_augment for policy in policies):
        parser.error("--policy must be one without RandAugment, which the others here lack")
    with tempfile.TemporaryDirectory() as folder:
        photographs(folder)
        sources = [load_source("synthetic:2048"), load_source(folder, split="all")]
        for source, policy, size in zip(sources, policies, (32, 224), strict=True):
            if args.size in (None, size):
                record = measure(source, policy, size, args.seconds, args.others)
                print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
