"""K random views of every image, as a `tf.data.Dataset` that can start at any step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from burn_tf._checks import UserError, check_integer
from burn_tf.data import augmentations, randomness
from burn_tf.data.policies import Policy, get_policy
from burn_tf.data.sources import Source

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
    workers: int | None = None,
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
        workers: parallel calls; None: as many as TensorFlow finds best.

    Returns:
        Dataset of tuples of K float32 tensors [B, S, S, 3]; with `labels` of (views, labels).

    Raises:
        UserError: a batch larger than the data set, a start after the end, lists that are not K
        long.

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
    plan = _Plan(source, batch_size, epochs, drop_remainder, seed)
    policies = _per_view("policy", policy, num_views, get_policy)
    sizes = _per_view("image_size", image_size, num_views, _check_size)
    check_integer("start_step", start_step, low=0, high=plan.total_steps)
    calls = tf.data.AUTOTUNE if workers is None else check_integer("workers", workers, low=1)
    batched = source.array is not None and max(sizes) ** 2 <= _BATCHED_PIXELS
    make = _batched if batched else _one_by_one
    dataset = make(plan, list(zip(policies, sizes, strict=True)), labels, start_step, calls)
    return dataset.with_options(_options()).prefetch(tf.data.AUTOTUNE)


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


class _Plan:
    """Which image stands where: step -> epoch, positions -> indices."""

    def __init__(
        self, source: Source, batch_size: int, epochs: int, drop_remainder: bool, seed: int
    ) -> None:
        self.source, self.batch_size, self.seed = source, batch_size, seed
        self.drop_remainder = drop_remainder
        self.steps = steps_per_epoch(source, batch_size, drop_remainder)
        self.total_steps = self.steps * check_integer("epochs", epochs, low=1)

    def indices(self, step: tf.Tensor, offset: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Epoch, and image index of each `offset` in batch `step`; past the end, the last one."""
        size = self.source.num_images
        position = tf.minimum((step % self.steps) * self.batch_size + offset, size - 1)
        epoch = step // self.steps
        return epoch, randomness.shuffled(self.seed, epoch, position, size)

    def count(self, step: tf.Tensor) -> tf.Tensor:
        """Images in batch `step`."""
        left = self.source.num_images - (step % self.steps) * self.batch_size
        return tf.minimum(tf.constant(self.batch_size, tf.int64), left)


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
    plan: _Plan, views: _Views, labels: bool, start_step: int, calls: int
) -> tf.data.Dataset:
    """In-memory images and small views: the whole batch at once."""
    array, label_tensor = plan.source.pixels, plan.source.label_tensor
    offsets = tf.range(plan.batch_size, dtype=tf.int64)
    functions = _functions(_view_of_batch, views)

    @tf.autograph.experimental.do_not_convert
    def make(step: tf.Tensor) -> Any:
        offset = offsets if plan.drop_remainder else offsets[: plan.count(step)]
        epoch, index = plan.indices(step, offset)
        planar = tf.cast(tf.transpose(tf.gather(array, index), [0, 3, 1, 2]), tf.float32)
        numbers = randomness.uniform(
            plan.seed, epoch, index, tf.range(len(views))[:, None], augmentations.SLOTS
        )
        made = tuple(function(planar, numbers[k]) for k, function in enumerate(functions))
        return (made, tf.gather(label_tensor, index)) if labels else made

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
    plan: _Plan, views: _Views, labels: bool, start_step: int, calls: int
) -> tf.data.Dataset:
    """Large views or files: image by image, decoded once for all of its views."""
    load, label_tensor = plan.source.loader(), plan.source.label_tensor
    batch, count = plan.batch_size, len(views)
    offsets = tf.range(batch, dtype=tf.int64)
    functions = _functions(_view, views)

    # What is small is drawn for the batch at once: 0.2 ms an image less than one by one.
    @tf.autograph.experimental.do_not_convert
    def draw(step: tf.Tensor) -> Any:
        epoch, index = plan.indices(step, offsets)
        numbers = randomness.uniform(
            plan.seed, epoch, index[:, None], tf.range(count), augmentations.SLOTS
        )
        return index, numbers, tf.gather(label_tensor, index)

    @tf.autograph.experimental.do_not_convert
    def make(index: tf.Tensor, numbers: tf.Tensor, label: tf.Tensor) -> Any:
        image = load(index)
        made = tuple(function(image, numbers[k][None]) for k, function in enumerate(functions))
        return (made, label) if labels else made

    def shorten(step: tf.Tensor, element: Any) -> Any:
        return tf.nest.map_structure(lambda tensor: tensor[: plan.count(step)], element)

    places = tf.data.Dataset.range(start_step, plan.total_steps).map(draw).unbatch()
    dataset = places.map(make, num_parallel_calls=calls, deterministic=True)
    dataset = dataset.batch(batch, drop_remainder=True)
    if not plan.drop_remainder:
        dataset = dataset.enumerate(start_step).map(shorten)
    # `unbatch` forgets the length, and with it Keras its progress bar.
    return dataset.apply(tf.data.experimental.assert_cardinality(plan.total_steps - start_step))


def _view(image: tf.Tensor, numbers: tf.Tensor, policy: Policy, size: int) -> tf.Tensor:
    """One view [S, S, 3] of one image; numbers: float32 [1, SLOTS]."""
    shape = tf.shape(image)
    box = tf.cast(augmentations.crop_box(numbers, shape[0], shape[1], policy)[0], tf.int32)
    crop = image[box[0] : box[0] + box[2], box[1] : box[1] + box[3]]
    mirrored = augmentations.is_flipped(numbers, policy)[0]
    planar = augmentations.resize(crop, size, policy.antialias, mirrored)
    return augmentations.finish(augmentations.augment(planar[None], numbers, policy))[0]
