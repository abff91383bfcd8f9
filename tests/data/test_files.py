"""Scanning many files: what is kept, why the rest is not, and when pixels stay in memory."""

import numpy as np
import pytest
from PIL import Image

from burn_tf.data import files, images


def write(folder, name, pixels, **options):
    path = folder / name
    Image.fromarray(pixels).save(path, **options)
    return str(path)


@pytest.fixture
def pictures():
    return np.random.default_rng(0).integers(0, 256, [6, 12, 10, 3], dtype=np.uint8)


def test_equal_small_files_become_an_array(tmp_path, pictures):
    paths = [write(tmp_path, f"{i}.png", picture) for i, picture in enumerate(pictures)]
    scan = files.scan_files(paths)
    np.testing.assert_array_equal(scan.array, pictures)
    np.testing.assert_array_equal(scan.keep, np.arange(6))
    assert scan.failures == []


def test_kinds_mix_in_one_array(tmp_path, pictures):
    Image.fromarray(pictures[0]).convert("RGBA").save(tmp_path / "0.png")
    paths = [str(tmp_path / "0.png"), write(tmp_path, "1.bmp", pictures[1])]
    paths += [write(tmp_path, "2.png", pictures[2])]
    scan = files.scan_files(paths)
    np.testing.assert_array_equal(scan.array, pictures[:3])
    np.testing.assert_array_equal(scan.kinds, [images.ODD, images.ODD, images.PLAIN])


def test_damaged_ones_leave_and_say_why(tmp_path, pictures):
    paths = [write(tmp_path, f"{i}.png", picture) for i, picture in enumerate(pictures)]
    (tmp_path / "1.png").write_bytes(b"")
    data = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "4.png").write_text("not a picture")
    scan = files.scan_files([*paths, str(tmp_path / "gone.png")])
    np.testing.assert_array_equal(scan.keep, [0, 2, 5])
    np.testing.assert_array_equal(scan.array, pictures[[0, 2, 5]])
    assert [position for position, _ in scan.failures] == [1, 3, 4, 6]
    assert scan.failures[0][1] == "empty file"
    assert "truncated" in scan.failures[1][1]
    assert "\n" not in "".join(reason for _, reason in scan.failures)


@pytest.mark.parametrize("other", [(12, 11), (200, 200)])
def test_unequal_or_large_images_stay_files(tmp_path, pictures, other):
    large = np.zeros([*other, 3], np.uint8)
    paths = [write(tmp_path, "0.jpg", large), write(tmp_path, "1.jpg", large)]
    if max(other) < 128:
        paths.append(write(tmp_path, "2.jpg", pictures[0]))
    scan = files.scan_files(paths)
    assert scan.array is None
    np.testing.assert_array_equal(scan.kinds, [images.PLAIN] * len(paths))


def test_damage_is_found_in_large_files_too(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, [300, 200, 3], dtype=np.uint8)
    paths = [write(tmp_path, f"{i}.{kind}", noise) for i, kind in enumerate(["jpg", "png", "jpg"])]
    for path in paths[:2]:
        with open(path, "rb") as file:
            data = file.read()
        with open(path, "wb") as file:
            file.write(data[: len(data) // 2])
    scan = files.scan_files(paths)
    np.testing.assert_array_equal(scan.keep, [2])


def test_bytes_are_scanned_like_files(tmp_path, pictures):
    paths = [write(tmp_path, f"{i}.png", picture) for i, picture in enumerate(pictures)]
    encoded = []
    for path in paths:
        with open(path, "rb") as file:
            encoded.append(file.read())
    scan = files.scan_bytes([*encoded, b"no"])
    np.testing.assert_array_equal(scan.array, pictures)
    assert [position for position, _ in scan.failures] == [6]
