"""TFDS sources, on small data sets that TFDS' own builders write here; nothing is downloaded."""

from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds

from burn_tf._checks import UserError
from burn_tf.data import load_source, tfds_source


def pictures(number, seed, size=None):
    generator = np.random.default_rng(seed)
    shapes = [size or (140 + i, 150) for i in range(number)]
    return [generator.integers(0, 256, [*shape, 3], dtype=np.uint8) for shape in shapes]


class BurnToyShapes(tfds.core.GeneratorBasedBuilder):
    """Twelve and five pictures of 10 x 14 in three classes."""

    VERSION = tfds.core.Version("1.0.0")
    SPLITS: ClassVar = {"train": 12, "test": 5}
    SIZE: ClassVar[tuple[int, int] | None] = (10, 14)

    def _info(self):
        features = {
            "image": tfds.features.Image(encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["circle", "square", "cross"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {name: self._generate_examples(name) for name in self.SPLITS}

    def _generate_examples(self, name):
        for i, picture in enumerate(pictures(self.SPLITS[name], len(name), self.SIZE)):
            yield i, {"image": picture, "label": i % 3}


class BurnToyPhotos(BurnToyShapes):
    """Ten pictures of different sizes in one split."""

    SPLITS: ClassVar = {"train": 10}
    SIZE: ClassVar[tuple[int, int] | None] = None


class BurnToyNumbers(tfds.core.GeneratorBasedBuilder):
    """No pictures at all."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = tfds.features.FeaturesDict({"x": np.int64})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"x": 1}


@pytest.fixture(autouse=True)
def data_dir(tmp_path, monkeypatch):
    """A home for what the builders write."""
    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path))
    return tmp_path


def by_label(source):
    """Images in an order that does not depend on how TFDS shuffles its shards."""
    pairs = zip(source.labels, source.array, strict=True)
    return sorted((int(label), image.tobytes()) for label, image in pairs)


@pytest.mark.parametrize(("split", "number"), [("train", 12), ("test", 5)])
def test_small_images_by_name(split, number):
    source = load_source("tfds:burn_toy_shapes", split=split)
    assert source.array.shape == (number, 10, 14, 3)
    assert source.class_names == ("circle", "square", "cross")
    wanted = pictures(number, len(split), (10, 14))
    assert by_label(source) == sorted((i % 3, p.tobytes()) for i, p in enumerate(wanted))


def test_all_is_both_splits_and_order_is_stable():
    source = load_source("tfds:burn_toy_shapes", split="all")
    assert source.num_images == 17
    again = load_source("tfds:burn_toy_shapes", split="all")
    np.testing.assert_array_equal(source.array, again.array)
    assert source.fingerprint == again.fingerprint


def test_photographs_stay_encoded_and_are_split():
    train = load_source("tfds:burn_toy_photos")
    test = load_source("tfds:burn_toy_photos", split="test")
    assert train.array is None
    assert train.num_images + test.num_images == 10
    assert 2 <= test.num_images <= 3
    found = sorted(s.image(i).tobytes() for s in (train, test) for i in range(s.num_images))
    assert found == sorted(picture.tobytes() for picture in pictures(10, 5))
    load = train.loader()
    np.testing.assert_array_equal(load(np.int64(1)), train.image(1))


def test_folder_of_a_prepared_data_set(data_dir):
    load_source("tfds:burn_toy_shapes")
    folder = data_dir / "burn_toy_shapes" / "1.0.0"
    assert load_source(f"tfds:{folder}").num_images == 12


def test_typo_names_the_nearest():
    with pytest.raises(UserError, match="Did you mean 'tfds:burn_toy_shapes'"):
        load_source("tfds:burn_toy_shape")


@pytest.mark.parametrize("name", ["burn_toy_shapes/large", "burn_toy_shapes:9.9.9"])
def test_unknown_configuration_or_version(name):
    with pytest.raises(UserError, match=name):
        load_source(f"tfds:{name}")


def test_no_images_among_the_features():
    with pytest.raises(UserError, match="must be a TFDS data set of images"):
        load_source("tfds:burn_toy_numbers")


def test_failure_to_prepare_is_one_line(monkeypatch):
    def fail(self, dl_manager):
        raise OSError("no\nnetwork")

    monkeypatch.setattr(BurnToyShapes, "_split_generators", fail)
    with pytest.raises(UserError, match=r"could not prepare 'burn_toy_shapes' \(OSError: no netw"):
        load_source("tfds:burn_toy_shapes")


def test_too_large_for_the_memory(monkeypatch):
    monkeypatch.setattr(tfds_source, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match="burn-tf data pack tfds:burn_toy_shapes --output"):
        load_source("tfds:burn_toy_shapes")


class BurnToyObjects(BurnToyShapes):
    """Pictures with boxes, as TFDS has VOC and COCO."""

    def _info(self):
        box = {
            "bbox": tfds.features.BBoxFeature(),
            "label": tfds.features.ClassLabel(names=["cat", "dog", "cow"]),
            "is_difficult": np.bool_,
        }
        features = {
            "image": tfds.features.Image(encoding_format="png"),
            "objects": tfds.features.Sequence(box),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _generate_examples(self, name):
        for i, picture in enumerate(pictures(self.SPLITS[name], len(name), self.SIZE)):
            box = tfds.features.BBox(ymin=0.2, xmin=0.5, ymax=1.0, xmax=1.0)
            marked = [{"bbox": box, "label": i % 3, "is_difficult": i % 2 == 1}] * (i % 3)
            yield i, {"image": picture, "objects": marked}


def test_boxes_are_in_pixels_and_targets_follow():
    source = load_source("tfds:burn_toy_objects", split="test")
    assert source.labels is None and source.class_names == ("cat", "dog", "cow")
    assert sorted(map(len, source.objects)) == [0, 0, 1, 1, 2]
    (single,) = [found for found in source.objects if len(found) == 1 and found.difficult[0]]
    np.testing.assert_allclose(single.boxes, [[7.0, 2.0, 14.0, 10.0]], rtol=1e-6)
    assert sorted(source.targets.tolist()) == [
        [0, -1, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 0, 1],
        [0, 1, 0],
    ]


@pytest.mark.parametrize(
    ("name", "there", "train", "test"),
    [
        ("voc/2007/5.0.0", ["test", "train", "validation"], ["train", "validation"], ["test"]),
        ("voc/2012/5.0.0", ["test", "train", "validation"], ["train"], ["validation"]),
        ("coco/2017/1.1.0", ["test", "train", "validation"], ["train"], ["validation"]),
        ("i_naturalist2018/1.0.0", ["test", "train", "validation"], ["train"], ["validation"]),
        ("caltech_birds2011/0.2.0", ["test", "train"], ["train"], ["test"]),
    ],
)
def test_splits_whose_annotations_are_public(name, there, train, test):
    for split, wanted in (("train", train), ("test", test), ("all", train + test)):
        assert tfds_source._splits(name, there, split) == (wanted, False)


def test_the_real_builders_have_what_is_read():
    """Names, versions and splits that README and protocols give; nothing is downloaded."""
    for name in ("voc/2007:5.0.0", "coco/2017:1.1.0"):
        assert tfds_source._object_names(tfds.builder(name).info.features)
    for name in ("caltech_birds2011:0.2.0", "i_naturalist2018:1.0.0", "cifar100:3.0.2"):
        assert tfds_source._keys(name, tfds.builder(name).info.features) == ("image", "label")
    assert tfds.builder("imagenet2012_subset/1pct").info.features["label"].num_classes == 1000
