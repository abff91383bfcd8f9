"""The views of a policy made by Pillow: what `views.py` and `input.py` compare with.

It works as torchvision on Pillow images does: crop, resize, flip, ImageEnhance in random order, hue
through HSV, grey, GaussianBlur, solarize, then normalisation in NumPy. Run alone it prints the rate
of one core:

    python benchmarks/pillow_reference.py
"""

from __future__ import annotations

import json
import math
import os
import random
import tempfile
import time
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps
from sklearn.datasets import load_sample_images

from burn_tf.data import Policy, get_policy
from burn_tf.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD


def photographs(folder: str, number: int = 64) -> None:
    """JPEG files of about 500 x 375: windows of scikit-learn's two sample photographs."""
    generator = np.random.default_rng(0)
    pictures = [Image.fromarray(picture) for picture in load_sample_images().images]
    for i in range(number):
        picture = pictures[i % len(pictures)]
        width = int(generator.integers(480, 640))
        height = width * 3 // 4
        left = int(generator.integers(0, 640 - width + 1))
        top = int(generator.integers(0, 427 - min(height, 426)))
        window = picture.crop((left, top, left + width, min(top + height, 427)))
        window.resize((500, 375), Image.Resampling.BICUBIC).save(
            os.path.join(folder, f"{i:04}.jpg"), quality=90
        )


def pillow_view(image: Image.Image, policy: Policy, size: int, dice: random.Random) -> np.ndarray:
    """One view, as torchvision composes it from Pillow's functions."""
    image = image.crop(_pillow_crop(image, policy, dice)).resize(
        (size, size), Image.Resampling.BILINEAR
    )
    if dice.random() < policy.flip:
        image = ImageOps.mirror(image)
    if dice.random() < policy.jitter:
        steps = [_enhance(ImageEnhance.Brightness, policy.brightness, dice)]
        steps += [_enhance(ImageEnhance.Contrast, policy.contrast, dice)]
        steps += [_enhance(ImageEnhance.Color, policy.saturation, dice)]
        steps += [lambda picture: _pillow_hue(picture, dice.uniform(-policy.hue, policy.hue))]
        dice.shuffle(steps)
        for step in steps:
            image = step(image)
    if dice.random() < policy.grey:
        image = image.convert("L").convert("RGB")
    if dice.random() < policy.blur:
        image = image.filter(ImageFilter.GaussianBlur(dice.uniform(*policy.blur_sigma)))
    if dice.random() < policy.solarise:
        image = ImageOps.solarize(image)
    mean, std = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_STD, np.float32)
    return (np.asarray(image, np.float32) / 255.0 - mean) / std


def _pillow_crop(
    image: Image.Image, policy: Policy, dice: random.Random
) -> tuple[int, int, int, int]:
    for _ in range(10):
        area = image.width * image.height * dice.uniform(*policy.crop_area)
        ratio = math.exp(
            dice.uniform(math.log(policy.crop_ratio[0]), math.log(policy.crop_ratio[1]))
        )
        width, height = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < width <= image.width and 0 < height <= image.height:
            left, top = dice.randint(0, image.width - width), dice.randint(0, image.height - height)
            return left, top, left + width, top + height
    return 0, 0, image.width, image.height


def _enhance(
    kind: type, strength: float, dice: random.Random
) -> Callable[[Image.Image], Image.Image]:
    return lambda image: kind(image).enhance(dice.uniform(max(0.0, 1 - strength), 1 + strength))


def _pillow_hue(image: Image.Image, turn: float) -> Image.Image:
    hue, saturation, value = image.convert("HSV").split()
    turned = (np.asarray(hue).astype(np.int16) + round(turn * 255)).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")


def work(
    folder: str, name: str, size: int, views: int, seconds: float, seed: int = 0
) -> tuple[int, float, float]:
    """Views of a folder's JPEG files for some seconds: images, CPU seconds, wall seconds."""
    paths = [entry.path for entry in os.scandir(folder) if entry.name.endswith(".jpg")]
    policy, dice, images = get_policy(name), random.Random(seed), 0
    cpu, wall = time.process_time(), time.perf_counter()
    while time.process_time() - cpu < seconds:
        image = Image.open(paths[images % len(paths)]).convert("RGB")
        np.stack([pillow_view(image, policy, size, dice) for _ in range(views)])
        images += 1
    return images, time.process_time() - cpu, time.perf_counter() - wall


def main() -> None:
    """Prints a JSON line for 224 px."""
    with tempfile.TemporaryDirectory() as folder:
        photographs(folder)
        images, cpu, _ = work(folder, "moco_v2", 224, 2, 3.0)
    record = {"name": "pillow_224px_moco_v2", "unit": "images/s/core"}
    print(json.dumps({**record, "reference": round(images / cpu, 1), "views": 2}))


if __name__ == "__main__":
    main()
