"""Views: order, statelessness, resuming, equality of both ways of making them, and Pillow."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import (
    Policy,
    Source,
    augmentations,
    get_policy,
    load_source,
    randomness,
    steps_per_epoch,
    views,
    views_dataset,
)

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
EVERYTHING = Policy("all", jitter=0.8, blur=0.5, blur_sigma=(0.3, 1.0), solarise=0.2)
CROP = Policy("crop", crop_area=(0.1, 1.0), jitter=0.0, grey=0.0, blur=0.0)


@pytest.fixture(scope="module")
def source():
    """Twenty pictures of 24 x 20 whose label is their index."""
    images = np.random.default_rng(0).integers(0, 256, [20, 24, 20, 3], dtype=np.uint8)
    images = images // 2 + np.linspace(0, 120, 20, dtype=np.uint8)[None, None, :, None]
    return Source.from_array(images, np.arange(20))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Seven JPEG and PNG files of different sizes, one of them with transparency."""
    folder = tmp_path_factory.mktemp("photographs")
    generator = np.random.default_rng(1)
    for i in range(7):
        image = generator.integers(0, 256, [20 + i, 30 - i, 3], dtype=np.uint8)
        picture = Image.fromarray(image).resize((150 - i, 130 + i))
        picture.save(folder / f"{i}.jpg") if i < 5 else picture.save(folder / f"{i}.png")
    picture.convert("RGBA").save(folder / "7.png")
    return load_source(str(folder), split="all")


def made(source, policy=EVERYTHING, **arguments):
    """All batches as NumPy arrays."""
    defaults = {"num_views": 2, "batch_size": 4, "image_size": 16, "seed": 3, "epochs": 2}
    dataset = views_dataset(source, policy, **(defaults | arguments))
    return [tf.nest.map_structure(lambda tensor: tensor.numpy(), batch) for batch in dataset]


def same(first, second):
    assert len(first) == len(second)
    tf.nest.map_structure(np.testing.assert_array_equal, first, second)


@pytest.fixture(params=["in memory", "files", "large views"])
def either(request, source, photographs):
    """A source and a size for each way the views are made."""
    return {"in memory": (source, 16), "files": (photographs, 16), "large views": (source, 80)}[
        request.param
    ]


def test_the_number_of_workers_changes_nothing(either):
    source, size = either
    same(made(source, image_size=size, workers=1), made(source, image_size=size, workers=4))


@pytest.mark.parametrize("drop_remainder", [True, False])
def test_start_step_gives_the_rest_of_the_run(either, drop_remainder):
    source, size = either
    options = {"policy": CROP, "image_size": size, "batch_size": 3, "labels": True}
    options["drop_remainder"] = drop_remainder
    whole = made(source, **options)
    start = len(whole) // 2 + 1
    same(whole[start:], made(source, start_step=start, **options))


@pytest.mark.parametrize("drop_remainder", [True, False])
def test_shards_make_up_each_batch(either, drop_remainder):
    """Of a short last batch a shard has what there is, maybe nothing."""
    source, size = either
    batch = 6
    options = {"policy": CROP, "image_size": size, "batch_size": batch, "labels": True}
    options |= {"drop_remainder": drop_remainder, "epochs": 1, "start_step": 1}
    if drop_remainder:
        options |= {"epochs": 2}
    whole = made(source, **options)
    shards = [made(source, shards=3, shard=i, **options) for i in range(3)]
    assert len(whole) == len(shards[0]) > 0
    if drop_remainder:
        assert {len(labels) for shard in shards for _, labels in shard} == {2}
    for batch, *parts in zip(whole, *shards, strict=True):
        joined = tf.nest.map_structure(lambda *part: np.concatenate(part), *parts)
        np.testing.assert_array_equal(joined[1], batch[1])
        # A batch in parts is multiplied in other blocks.
        for ours, expected in zip(joined[0], batch[0], strict=True):
            np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_shards_that_do_not_divide_the_batch(source):
    with pytest.raises(UserError, match=r"`batch_size` must be a multiple of `shards` = 3"):
        made(source, shards=3)
    with pytest.raises(UserError, match="`shard`"):
        made(source, shards=2, shard=2)


def test_each_argument_changes_the_pixels(source):
    def first(**arguments):
        return made(source, CROP, batch_size=20, labels=True, epochs=1, **arguments)[0]

    (base, other), order = first()
    assert np.abs(base - other).mean() > 0.1
    changed, changed_order = first(seed=4)
    assert not np.array_equal(order, changed_order)
    for index in range(20):
        before, after = base[order == index][0], changed[0][changed_order == index][0]
        assert np.abs(before - after).max() > 0.1


def test_epochs_differ_in_order_and_pixels(source):
    ((first, _), order), ((second, _), later) = made(source, CROP, batch_size=20, labels=True)
    assert sorted(order) == sorted(later) == list(range(20))
    assert not np.array_equal(order, later)
    assert np.abs(first[order == 5] - second[later == 5]).max() > 0.1


def test_an_images_views_do_not_depend_on_the_batch(source):
    by_index: dict[int, list[np.ndarray]] = {}
    for size in (20, 5):
        for (first, second), order in made(source, batch_size=size, epochs=1, labels=True):
            for i, index in enumerate(order):
                by_index.setdefault(index, []).append(np.stack([first[i], second[i]]))
    assert len(by_index) == 20
    for found in by_index.values():
        np.testing.assert_allclose(found[1], found[0], atol=1e-4)


def test_both_ways_make_the_same_views(source, monkeypatch):
    batched = made(source)
    monkeypatch.setattr(views, "_BATCHED_PIXELS", 0)
    for first, second in zip(batched, made(source), strict=True):
        for view in range(2):
            np.testing.assert_allclose(first[view], second[view], atol=2e-4)


def test_views_are_pillows_crop_resize_and_mirror(either):
    """The box and the mirroring are read from the random numbers; the pixels are Pillow's."""
    source, size = either
    options = {"image_size": size, "epochs": 1, "batch_size": source.num_images}
    indexed = dataclasses.replace(source, labels=np.arange(source.num_images))
    ((first, second), order) = made(indexed, CROP, labels=True, **options)[0]
    mirrored = 0
    for place, index in enumerate(order):
        image = source.image(int(index))
        for number, view in enumerate((first, second)):
            draws = randomness.uniform(3, 0, np.array([index]), number, augmentations.SLOTS)
            box = augmentations.crop_box(draws, image.shape[0], image.shape[1], CROP)
            top, left, rows, columns = box.numpy()[0].astype(int)
            crop = image[top : top + rows, left : left + columns].astype(np.float32)
            bands = [Image.fromarray(crop[..., c]).resize((size, size), 2) for c in range(3)]
            wanted = np.stack([np.asarray(band) for band in bands], -1)
            if augmentations.is_flipped(draws, CROP)[0]:
                wanted, mirrored = wanted[:, ::-1], mirrored + 1
            found = (view[place] * STD + MEAN) * 255
            np.testing.assert_allclose(found, wanted, atol=0.02)
    assert 0 < mirrored < 2 * len(order)


def test_values_keep_to_the_range_of_pixels(either):
    source, size = either
    for batch in made(source, get_policy("msbreg"), image_size=size):
        for view in batch:
            found = (view * STD + MEAN) * 255
            assert found.min() > -0.01
            assert found.max() < 255.01
            assert np.isfinite(view).all()


@pytest.mark.parametrize("size", [16, 80])
def test_shapes_types_and_lengths(source, size):
    batch = 3
    dataset = views_dataset(
        source, CROP, num_views=3, batch_size=batch, image_size=size, epochs=2, labels=True
    )
    steps = source.num_images // batch
    assert dataset.cardinality() == 2 * steps
    pixels, labels = dataset.element_spec
    assert [spec.shape.as_list() for spec in pixels] == [[batch, size, size, 3]] * 3
    assert {spec.dtype for spec in pixels} == {tf.float32}
    assert labels.dtype == tf.int64
    assert sum(1 for _ in dataset) == 2 * steps


@pytest.mark.parametrize("size", [16, 80])
def test_remainder(source, size):
    options = {"image_size": size, "batch_size": 3, "labels": True}
    batches = made(source, CROP, drop_remainder=False, **options)
    number = source.num_images
    assert [len(labels) for _, labels in batches] == ([3] * (number // 3) + [number % 3]) * 2
    assert [len(view) for (view, _), _ in batches] == ([3] * (number // 3) + [number % 3]) * 2
    assert steps_per_epoch(source, 3, drop_remainder=False) == number // 3 + 1
    assert steps_per_epoch(source, 3) == number // 3


def test_unlabelled_images_are_minus_one(photographs):
    _, labels = made(photographs, CROP, labels=True)[0]
    np.testing.assert_array_equal(labels, [-1] * 4)


def test_images_smaller_than_the_view_are_enlarged():
    images = np.full([4, 2, 3, 3], 77, np.uint8)
    for size in (16, 80):
        for view in made(Source.from_array(images), CROP, image_size=size)[0]:
            np.testing.assert_allclose((view * STD + MEAN) * 255, 77, atol=0.01)


def test_a_policy_and_a_size_for_each_view(source):
    small = dataclasses.replace(CROP, crop_area=(0.05, 0.2))
    first, second, third = made(
        source, [CROP, "supervised", small], num_views=3, image_size=[24, 16, 8]
    )[0]
    assert (first.shape[1], second.shape[1], third.shape[1]) == (24, 16, 8)
    alone = made(source, CROP, num_views=1, image_size=24)[0][0]
    np.testing.assert_array_equal(first, alone)


def test_the_functions_are_traced_once(source, photographs, monkeypatch):
    calls: list[int] = []
    augment = augmentations.augment

    def counted(*arguments):
        calls.append(1)
        return augment(*arguments)

    monkeypatch.setattr(augmentations, "augment", counted)
    for pictures in (source, photographs):
        calls.clear()
        dataset = views_dataset(pictures, CROP, num_views=2, batch_size=3, image_size=16, epochs=4)
        for _ in range(2):
            assert sum(1 for _ in dataset) > 6
        assert len(calls) == 1  # both views share the function


def test_each_image_is_decoded_once_for_all_its_views(photographs, monkeypatch):
    reads = []
    load = photographs.loader()

    def counted(index):
        tf.numpy_function(lambda i: reads.append(int(i)), [index], [])
        return load(index)

    monkeypatch.setattr(Source, "loader", lambda self: counted)
    made(photographs, CROP, num_views=4, batch_size=8, epochs=1)
    assert sorted(reads) == list(range(8))


def test_nothing_is_left_after_the_last_step(source):
    assert made(source, CROP, start_step=10) == []
    assert len(made(source, CROP, start_step=9)) == 1


def test_replicas_share_the_global_batch(source, two_replicas):
    dataset = views_dataset(source, CROP, num_views=2, batch_size=4, image_size=16, seed=3)
    wanted = made(source, CROP, epochs=1)
    for distributed, (first, second) in zip(
        two_replicas.experimental_distribute_dataset(dataset), wanted, strict=True
    ):
        for values, whole in zip(distributed, (first, second), strict=True):
            parts = two_replicas.experimental_local_results(values)
            assert [len(part) for part in parts] == [2, 2]
            np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_batch_larger_than_the_source(source):
    with pytest.raises(UserError, match=r"number of images, 20 .*Received: 21"):
        made(source, batch_size=21)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_views": 0},
        {"batch_size": 0},
        {"image_size": 0},
        {"image_size": [16, 16, 16]},
        {"epochs": 0},
        {"start_step": -1},
        {"start_step": 11},
        {"workers": 0},
    ],
)
def test_refuses(source, arguments):
    with pytest.raises(UserError, match=next(iter(arguments))):
        made(source, **arguments)


def test_refuses_as_many_policies_as_are_not_views(source):
    with pytest.raises(UserError, match="policy"):
        made(source, ["cifar"] * 3)
    with pytest.raises(UserError, match="Did you mean 'cifar'"):
        made(source, "cifra")


def test_draws_repeat_the_pixels_and_not_the_order(either):
    source, size = either
    options = {"image_size": size, "batch_size": source.num_images, "epochs": 4}
    once, _, again, _ = made(source, CROP, draws=2, places=True, **options)
    first, *rest = made(source, CROP, places=True, **options)
    # Draw 0 in epochs 0 and 2: the same pixels at the same places, in another order.
    assert not np.array_equal(once[1], again[1])
    assert sorted(once[1]) == sorted(again[1]) == list(range(source.num_images))
    for view in range(2):
        ordered = [batch[0][view][np.argsort(batch[1])] for batch in (once, again)]
        np.testing.assert_allclose(*ordered, atol=1e-4)
    # Without `draws` every epoch is one: the places go on, the first epoch is the same.
    np.testing.assert_array_equal(first[0][0], once[0][0])
    assert [batch[1].min() // source.num_images for batch in rest] == [1, 2, 3]


def test_places_name_the_image_and_come_after_labels(source):
    options = {"labels": True, "places": True, "draws": 2, "epochs": 3}
    batches = made(source, CROP, batch_size=20, **options)
    for draw, (_, label, place) in zip((0, 1, 0), batches, strict=True):
        np.testing.assert_array_equal(place, 20 * draw + label)
