"""TFDS sources, on small data sets that TFDS' own builders write here; nothing is downloaded."""

import io
import tarfile
from typing import ClassVar

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from burn_tf._checks import UserError
from burn_tf.data import load_source, pack_source, tfds_source


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


def test_a_stream_has_what_is_loaded(data_dir):
    """Also where TFDS has one split only, which is cut in two."""
    for split in ("train", "test", "all"):
        source = load_source("tfds:burn_toy_photos", split=split)
        stream = tfds_source.stream("burn_toy_photos", split)
        rows = list(stream.rows)
        assert stream.total == len(rows) == source.num_images
        assert [data for _, data, _ in rows] == list(source.encoded)
        assert [label for _, _, label in rows] == source.labels.tolist()
        assert stream.class_names == source.class_names
    assert tfds_source.stream("burn_toy_objects", "test") is None


def test_packed_though_it_is_too_large_for_the_memory(data_dir, monkeypatch):
    source = load_source("tfds:burn_toy_photos")
    monkeypatch.setattr(tfds_source, "MAX_BYTES", 1000)
    train, test = pack_source("tfds:burn_toy_photos", data_dir / "packed")
    assert train.images + test.images == 10 and train.changed == 0
    packed = load_source(f"packed:{data_dir / 'packed'}")
    assert [packed.records.read(i) for i in range(train.images)] == list(source.encoded)
    np.testing.assert_array_equal(packed.labels, source.labels)


def add(archive, name, data):
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def jpeg(seed):
    buffer = io.BytesIO()
    Image.fromarray(pictures(1, seed, (150, 160 + seed))[0]).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture
def imagenet(data_dir):
    """ImageNet's three archives, tiny ones, where TFDS' own builder looks for them."""
    manual = data_dir / "downloads" / "manual"
    manual.mkdir(parents=True)
    with tarfile.open(manual / "ILSVRC2012_img_train.tar", "w") as train:
        for number, synset in enumerate(("n01440764", "n15075141")):
            inner = io.BytesIO()
            with tarfile.open(fileobj=inner, mode="w") as archive:
                for i in range(3):
                    add(archive, f"{synset}_{i}.JPEG", jpeg(10 * number + i))
            add(train, f"{synset}.tar", inner.getvalue())
    for name, offset in (("val", 40), ("test", 60)):
        with tarfile.open(manual / f"ILSVRC2012_img_{name}.tar", "w") as archive:
            for i in range(2):
                add(archive, f"ILSVRC2012_{name}_{i + 1:08}.JPEG", jpeg(offset + i))
    return data_dir


def test_imagenet_in_its_real_layout(imagenet):
    """TFDS' builder of ImageNet writes it; the names are those of the published label lists."""
    home = imagenet / "packed"
    train, test = pack_source("tfds:imagenet2012", home, shards=2)
    shards = sorted(path.name for path in (imagenet / "imagenet2012" / "5.1.0").glob("*train*"))
    assert shards == ["imagenet2012-train.tfrecord-00000-of-00001"]
    assert (train.images, test.images) == (6, 2)
    source, packed = load_source("tfds:imagenet2012"), load_source(f"packed:{home}")
    assert len(packed.class_names) == 1000 and packed.class_names[0] == "n01440764"
    np.testing.assert_array_equal(packed.labels, source.labels)
    found = {
        name.decode(): (packed.records.read(i), int(packed.labels[i]))
        for i, name in enumerate(packed.records.names)
    }
    assert found["n01440764_1.JPEG"] == (jpeg(1), 0)
    assert found["n15075141_2.JPEG"] == (jpeg(12), 999)
    # The validation images are the test split: ImageNet's own test images have no labels.
    validation = load_source(f"packed:{home}", "test")
    assert sorted(validation.records.names.tolist())[0] == b"ILSVRC2012_val_00000001.JPEG"
    assert validation.labels.min() >= 0
    (imagenet / "1percent.txt").write_text("n01440764_0.JPEG\nn15075141_2.JPEG\n")
    part = load_source(f"images:{imagenet / '1percent.txt'}:packed:{home}")
    assert sorted(part.labels.tolist()) == [0, 999]
