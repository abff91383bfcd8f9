"""K random views of every image, as a `tf.data.Dataset` that can start at any step."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.data import augmentations, data_service, images, randomness
from burn_tf.data.policies import Policy, get_policy
from burn_tf.data.sources import Source
from burn_tf.data.substitutes import image_reader

# Up to this many pixels per view a batch is worked on as a whole (a view of 32 px costs 20
# operations of microseconds: one at a time they would be all overhead); above it image by image,
# while it is in the cache.
_BATCHED_PIXELS = 64 * 64


def views_dataset(
    source: Source,
    policy: str | Policy | Sequence[str | Policy],
    *,
    num_views: int,
    batch_size: int,
    image_size: int | Sequence[int],
    seed: int = 0,
    epochs: int = 1,
    start_step: int = 0,
    drop_remainder: bool = True,
    labels: bool = False,
    draws: int | None = None,
    places: bool = False,
    workers: int | None = None,
    shards: int = 1,
    shard: int = 0,
) -> tf.data.Dataset:
    """Batches of K views of each image, normalised by `preprocess_input`.

    Every random number is a function of (seed, epoch, image index, view), and the order one of
    (seed, epoch): the number of workers changes nothing, and a run resumes with `start_step`
    alone.

    Args:
        source: the images.
        policy: a policy or its name; or one for each view.
        num_views: K, 1 or more.
        batch_size: images in a batch; at most `source.num_images`.
        image_size: pixels, the side of every view; or one for each view.
        seed: any integer.
        epochs: passes over the source.
        start_step: batches to leave out at the front, at no cost.
        drop_remainder: leave out an epoch's last batch if it is short.
        labels: also give int64 labels [B], -1 where there are none.
        draws: how many different draws of its K views an image has, shown in turns: epoch e has
            draw e modulo `draws`, of the same pixels each time. None: a new draw in every epoch.
        places: also give, last, int64 [B]: draw * num_images + index of the image.
        workers: parallel calls; None: as many as TensorFlow finds best.
        shards: processes that share every batch; they divide `batch_size`.
        shard: which of them this is, from 0. Shard i makes rows i B / shards onwards of every batch
            and no others; a short last batch gives it those rows that there are, maybe none.

    Returns:
        Dataset of tuples of K float32 tensors [B / shards, S, S, 3]; with `labels` or
        `places` of (views, labels, places), of those that are asked for.

    Raises:
        UserError: a batch larger than the data set or not to be divided, a start after the end,
        lists that are not K long.

    Example:
        >>> import burn_tf
        >>> source = burn_tf.data.load_source("synthetic:8")
        >>> sizes = dict(num_views=2, batch_size=4, image_size=16)
        >>> dataset = burn_tf.data.views_dataset(source, "cifar", **sizes)
        >>> [tuple(view.shape) for view in next(iter(dataset))]
        [(4, 16, 16, 3), (4, 16, 16, 3)]

    Source: the augmentations of `Policy`.
    Departs from source: none.
    """
    plan = Plan(source, batch_size, epochs, drop_remainder, seed, (shards, shard), draws, places)
    policies = _per_view("policy", policy, num_views, get_policy)
    sizes = _per_view("image_size", image_size, num_views, _check_size)
    check_integer("start_step", start_step, low=0, high=plan.total_steps)
    views = list(zip(policies, sizes, strict=True))
    return planned_dataset(plan, views, labels, start_step, workers)


def planned_dataset(
    plan: Plan, views: _Views, labels: bool, start_step: int, workers: int | None
) -> tf.data.Dataset:
    """The batches of a plan: views of these policies and sizes, and what else it gives."""
    calls = tf.data.AUTOTUNE if workers is None else check_integer("workers", workers, low=1)
    largest = max(size for _, size in views)
    batched = plan.source.array is not None and largest**2 <= _BATCHED_PIXELS
    make = _batched if batched else _one_by_one
    if plan.source.data_service is not None:
        step = functools.partial(_one_step, make, plan, views, labels, calls)
        return data_service.served(step, start_step, plan.total_steps, plan.source)
    dataset = make(plan, views, labels, start_step, calls)
    return dataset.with_options(_options()).prefetch(tf.data.AUTOTUNE)


def _one_step(
    make: Callable[..., tf.data.Dataset], plan: Plan, views: _Views, labels: bool, calls: int,
    step: tf.Tensor,
) -> tf.data.Dataset:  # fmt: skip
    """The one batch of an update, int64 scalar."""
    single = copy.copy(plan)
    single.total_steps = step + 1
    return make(single, views, labels, step, calls)


def steps_per_epoch(source: Source, batch_size: int, drop_remainder: bool = True) -> int:
    """Batches that `views_dataset` gives per epoch.

    Raises:
        UserError: a batch larger than the data set.
    """
    check_integer("batch_size", batch_size, low=1)
    if batch_size > source.num_images:
        raise UserError(
            f"`batch_size` must be at most the number of images, {source.num_images} in "
            f"{source.name!r}; use a smaller batch or more images. Received: {batch_size}"
        )
    return (
        source.num_images // batch_size if drop_remainder else -(-source.num_images // batch_size)
    )


class Plan:
    """Which image stands where: step -> draw, positions -> indices; and what a batch gives."""

    def __init__(
        self,
        source: Source,
        batch_size: int,
        epochs: int,
        drop_remainder: bool,
        seed: int,
        shard: tuple[int, int] = (1, 0),
        draws: int | None = None,
        places: bool = False,
    ) -> None:
        self.source, self.batch_size, self.seed = source, batch_size, seed
        self.drop_remainder, self.gives_places = drop_remainder, places
        self.draws = None if draws is None else check_integer("draws", draws, low=1)
        self.share, self.first = _share(batch_size, *shard)
        self.steps = steps_per_epoch(source, batch_size, drop_remainder)
        self.total_steps = self.steps * check_integer("epochs", epochs, low=1)

    def indices(self, step: tf.Tensor, offset: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Draw, and image index of each `offset` in batch `step`; past the end, the last one."""
        size = self.source.num_images
        position = tf.minimum((step % self.steps) * self.batch_size + offset, size - 1)
        epoch = step // self.steps
        draw = epoch if self.draws is None else epoch % self.draws
        return draw, randomness.shuffled(self.seed, epoch, position, size)

    def places(self, draw: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
        """Where each image stands in a table with a row for every image of every draw."""
        return draw * self.source.num_images + index

    def view_numbers(self, count: int) -> tf.Tensor:
        """The numbers of `count` views, which their random numbers are drawn by."""
        return tf.range(count)

    @property
    def offsets(self) -> tf.Tensor:
        """The places in a whole batch that are this shard's."""
        return tf.range(self.first, self.first + self.share, dtype=tf.int64)

    def count(self, step: tf.Tensor) -> tf.Tensor:
        """This shard's images in batch `step`."""
        left = self.source.num_images - (step % self.steps) * self.batch_size - self.first
        return tf.clip_by_value(left, tf.constant(0, tf.int64), tf.constant(self.share, tf.int64))


def _share(batch_size: int, shards: int, shard: int) -> tuple[int, int]:
    """Images of a whole batch that are this shard's, and the place of the first."""
    check_integer("shards", shards, low=1)
    check_integer("shard", shard, low=0, high=shards - 1)
    if batch_size % shards:
        raise UserError(
            f"`batch_size` must be a multiple of `shards` = {shards}. Received: {batch_size}"
        )
    return batch_size // shards, batch_size // shards * shard


def _per_view(name: str, value: Any, num_views: int, check: Any) -> list[Any]:
    check_integer("num_views", num_views, low=1)
    values = list(value) if isinstance(value, (list, tuple)) else [value] * num_views
    if len(values) != num_views:
        raise UserError(
            f"`{name}` must be one value or `num_views` = {num_views} of them. "
            f"Received: {len(values)}"
        )
    return [check(item) for item in values]


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.deterministic = True
    # The source is a range of numbers: several hosts can only share it by its elements.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return options


def _check_size(value: int) -> int:
    return check_integer("image_size", value, low=1)


_Views = list[tuple[Policy, int]]


def _element(views: tuple[tf.Tensor, ...], *extras: tf.Tensor | None) -> Any:
    """The views alone, or with those of the extras that there are."""
    given = tuple(extra for extra in extras if extra is not None)
    return (views, *given) if given else views


def _functions(view: Callable[..., tf.Tensor], views: _Views) -> list[Callable[..., tf.Tensor]]:
    """`view` for each policy and size, as one graph function for all views that share them.

    Tracing takes half a second for every view that is written out, and as long again to start.
    """
    made = {
        item: tf.function(functools.partial(view, policy=item[0], size=item[1]), autograph=False)
        for item in set(views)
    }
    return [made[item] for item in views]


def _batched(
    plan: Plan, views: _Views, labels: bool, start_step: int, calls: int
) -> tf.data.Dataset:
    """In-memory images and small views: the whole batch at once."""
    array, label_tensor = plan.source.pixels, plan.source.label_tensor
    offsets = plan.offsets
    functions = _functions(_view_of_batch, views)

    @tf.autograph.experimental.do_not_convert
    def make(step: tf.Tensor) -> Any:
        offset = offsets if plan.drop_remainder else offsets[: plan.count(step)]
        draw, index = plan.indices(step, offset)
        planar = tf.cast(tf.transpose(tf.gather(array, index), [0, 3, 1, 2]), tf.float32)
        kinds = plan.view_numbers(len(views))[:, None]
        numbers = randomness.uniform(plan.seed, draw, index, kinds, augmentations.SLOTS)
        made = tuple(function(planar, numbers[k]) for k, function in enumerate(functions))
        label = tf.gather(label_tensor, index) if labels else None
        return _element(made, label, plan.places(draw, index) if plan.gives_places else None)

    steps = tf.data.Dataset.range(start_step, plan.total_steps)
    return steps.map(make, num_parallel_calls=calls, deterministic=True)


def _view_of_batch(planar: tf.Tensor, numbers: tf.Tensor, policy: Policy, size: int) -> tf.Tensor:
    """One view [B, S, S, 3] of each image of a batch [B, 3, H, W]; numbers: [B, SLOTS]."""
    height, width = planar.shape[2], planar.shape[3]
    top, left, rows, columns = tf.unstack(
        augmentations.crop_box(numbers, height, width, policy), axis=1
    )
    weights = augmentations.resize_weights
    vertical = weights(top, rows, top, top + rows, height, size, policy.antialias)
    horizontal = weights(left, columns, left, left + columns, width, size, policy.antialias)
    flipped = augmentations.is_flipped(numbers, policy)[:, None, None]
    # Mirrored weights instead of mirrored images: a matrix of the size of one channel.
    horizontal = tf.where(flipped, tf.reverse(horizontal, [1]), horizontal)
    cropped = augmentations.separable(planar, vertical, horizontal)
    cropped = tf.ensure_shape(cropped, [numbers.shape[0], 3, size, size])
    view = augmentations.finish(augmentations.augment(cropped, numbers, policy))
    return tf.ensure_shape(view, [numbers.shape[0], size, size, 3])


def _one_by_one(
    plan: Plan, views: _Views, labels: bool, start_step: int, calls: int
) -> tf.data.Dataset:
    """Large views or files: image by image, decoded once for all of its views."""
    opened, label_tensor = _opener(plan.source, views), plan.source.label_tensor
    batch, count = plan.share, len(views)
    offsets = plan.offsets
    functions = _functions(_view, views)

    # What is small is drawn for the batch at once: 0.2 ms an image less than one by one.
    @tf.autograph.experimental.do_not_convert
    def draw(step: tf.Tensor) -> Any:
        draw, index = plan.indices(step, offsets)
        kinds = plan.view_numbers(count)
        numbers = randomness.uniform(plan.seed, draw, index[:, None], kinds, augmentations.SLOTS)
        return index, numbers, tf.gather(label_tensor, index), plan.places(draw, index)

    @tf.autograph.experimental.do_not_convert
    def make(index: tf.Tensor, numbers: tf.Tensor, label: tf.Tensor, place: tf.Tensor) -> Any:
        image, boxes = opened(index, numbers)
        made = tuple(
            function(image, boxes[k], numbers[k][None]) for k, function in enumerate(functions)
        )
        return _element(made, label if labels else None, place if plan.gives_places else None)

    def shorten(step: tf.Tensor, element: Any) -> Any:
        return tf.nest.map_structure(lambda tensor: tensor[: plan.count(step)], element)

    places = tf.data.Dataset.range(start_step, plan.total_steps).map(draw).unbatch()
    dataset = places.map(make, num_parallel_calls=calls, deterministic=True)
    dataset = dataset.batch(batch, drop_remainder=True)
    if not plan.drop_remainder:
        dataset = dataset.enumerate(start_step).map(shorten)
    # `unbatch` forgets the length, and with it Keras its progress bar.
    return dataset.apply(tf.data.experimental.assert_cardinality(plan.total_steps - start_step))


def _opener(
    source: Source, views: _Views
) -> Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, list[tf.Tensor]]]:
    """index, float32 [K, SLOTS] -> an image and the crops in it, int32 [4] each.

    Of packed images the size is known before they are decoded: what no view needs is left out.
    """

    def boxes_of(numbers: tf.Tensor, shape: tf.Tensor) -> list[tf.Tensor]:
        rows = [numbers[k][None] for k in range(len(views))]
        boxes = [
            augmentations.crop_box(row, shape[0], shape[1], policy)[0]
            for row, (policy, _) in zip(rows, views, strict=True)
        ]
        return [tf.cast(box, tf.int32) for box in boxes]

    def whole(index: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        image = pixels(index)
        return image, boxes_of(numbers, tf.shape(image))

    def part(index: tf.Tensor, numbers: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        data, shown = load(index)
        shape = tf.gather(shapes, shown)
        boxes = boxes_of(numbers, shape)
        first = tf.reduce_min([box[:2] for box in boxes], axis=0)
        last = tf.reduce_max([box[:2] + box[2:] for box in boxes], axis=0)
        window = tf.concat([first, last - first], 0)
        image, origin = images.decode_part_tensor(data, shape, window)
        return image, [tf.concat([box[:2] - origin, box[2:]], 0) for box in boxes]

    if source.records is None or source.array is not None:
        pixels = source.loader()
        return whole
    # No view shows labels or boxes but `labels`, which a substitute shares.
    load = image_reader(source.records, source.labels, python=source.data_service is None)
    with tf.init_scope(), tf.device("CPU:0"):
        shapes = tf.constant(source.records.shapes, tf.int32)
    return part


def _view(
    image: tf.Tensor, box: tf.Tensor, numbers: tf.Tensor, policy: Policy, size: int
) -> tf.Tensor:
    """One view [S, S, 3] of a crop, int32 [4], of one image; numbers: float32 [1, SLOTS]."""
    crop = image[box[0] : box[0] + box[2], box[1] : box[1] + box[3]]
    mirrored = augmentations.is_flipped(numbers, policy)[0]
    planar = augmentations.resize(crop, size, policy.antialias, mirrored)
    return augmentations.finish(augmentations.augment(planar[None], numbers, policy))[0]
