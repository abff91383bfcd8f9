"""What is in the cache stays right: links, versions side by side, files that were cut short."""

from __future__ import annotations

import hashlib
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from burn_tf._checks import UserError
from tests.zoo.test_download import CONTENT, SHA256, left_in, refusal, wanted
from zoo import cache as folders
from zoo import download
from zoo.loading import load
from zoo.manifest import WeightFile
from zoo.transfer import TransferError, _Redirects

Mirrors = Callable[..., Any]


def test_two_versions_of_the_package_share_the_cache(mirrors: Mirrors, cache: Path) -> None:
    """Neither takes away from the other the file that it may be about to read."""
    other = CONTENT[::-1]
    newer = WeightFile(
        "weights.bin", len(other), hashlib.sha256(other).hexdigest(), (mirrors(other).url(),)
    )
    older = wanted(mirrors().url())
    paths = [download.fetch(file) for file in (older, newer)]
    assert [path.read_bytes() for path in paths] == [CONTENT, other]
    assert [path.name for path in paths] == ["weights.bin", "weights.bin"]


class TestLinks:
    def test_a_cache_on_another_disk(self, mirrors: Mirrors, cache: Path, tmp_path: Path) -> None:
        (tmp_path / "disk").mkdir()
        cache.symlink_to(tmp_path / "disk")
        assert download.fetch(wanted(mirrors().url())).read_bytes() == CONTENT
        assert left_in(tmp_path / "disk") == ["weights.bin"]

    @pytest.mark.parametrize("exists", [True, False])
    @pytest.mark.parametrize("kind", ["file", "part", "lock"])
    def test_nothing_is_written_through_a_link(
        self, kind: str, exists: bool, mirrors: Mirrors, cache: Path, tmp_path: Path
    ) -> None:
        target = download.fetch(wanted(mirrors().url()))
        target.unlink()
        victim = tmp_path / "victim"
        if exists:
            victim.write_bytes(b"precious")
        names = {"file": "weights.bin", "part": f".weights.bin.{SHA256[:16]}.part"}
        target.with_name(names.get(kind, ".weights.bin.lock")).symlink_to(victim)
        path = download.fetch(wanted(mirrors().url()))
        assert path.read_bytes() == CONTENT and not path.is_symlink()
        assert victim.exists() is exists
        assert not exists or victim.read_bytes() == b"precious"
        assert left_in(cache) == ["weights.bin"]


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        [
            "http://[bad/a",
            "http://host:99999/a",
            "http://host:port/a",
            "http://host/a\nb",
            "http://host/a\x1b[2Jb",
            "http://ho st/a",
        ],
    )
    def test_malformed(self, url: str, cache: Path) -> None:
        assert "an address must" in refusal(lambda: download.fetch_url(url))
        assert not cache.exists()

    def test_a_failure_leaves_no_folder(self, mirrors: Mirrors, cache: Path) -> None:
        refusal(lambda: download.fetch_url(mirrors(behaviour="missing").url()))
        assert not (cache / "downloads").exists() or not list((cache / "downloads").iterdir())

    def test_a_wrong_hash_does_not_cost_the_file_that_is_there(
        self, mirrors: Mirrors, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = mirrors().url()
        path = download.fetch_url(url)
        refusal(lambda: download.fetch_url(f"{url}#sha256={'0' * 64}"))
        monkeypatch.setenv("BURN_TF_OFFLINE", "1")
        assert download.fetch_url(url) == path

    def test_no_weaker_redirect(self) -> None:
        for scheme in ("https", "HTTPS"):
            request = urllib.request.Request(f"{scheme}://host/a")
            with pytest.raises(TransferError, match="a redirect to http"):
                _Redirects().redirect_request(request, None, 302, "", {}, "http://host/a")

    def test_a_record_that_cannot_be_written(
        self, mirrors: Mirrors, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(path: object, content: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(download, "atomic_write", full)
        assert "free some space" in refusal(lambda: download.fetch_url(mirrors().url()))
        assert left_in(cache) == []


class TestFoldersOfUsers:
    def test_unknown_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BURN_TF_HOME", "~nobody_of_this_name/cache")
        with pytest.raises(UserError, match="BURN_TF_HOME must be a folder"):
            folders.cache_folder()

    def test_no_home_at_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def homeless() -> Path:
            raise RuntimeError("Could not determine home directory.")

        for name in ("BURN_TF_HOME", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(Path, "home", homeless)
        with pytest.raises(UserError, match="set BURN_TF_HOME"):
            folders.cache_folder()


@pytest.mark.usefixtures("tiny_zoo")
class TestFilesThatAreNotWhole:
    @pytest.fixture(params=["packed", "keras", "hdf5"])
    def content(
        self, request: pytest.FixtureRequest, tiny_file: Path, tiny_reference: Any, tmp_path: Path
    ) -> bytes:
        if request.param == "packed":
            return tiny_file.read_bytes()
        path = tmp_path / {"keras": "a.keras", "hdf5": "a.h5"}[request.param]
        tiny_reference.save(path)
        return path.read_bytes()

    def test_are_not_kept(
        self, content: bytes, mirrors: Mirrors, cache: Path, tiny_zoo: Path
    ) -> None:
        """Cut off by a server that never said how long the file is; then it comes to its senses."""
        mirror = mirrors(content, "half")
        url = mirror.url("own.bin")
        message = refusal(lambda: load("tiny", weights=url))
        assert "cannot download 'own.bin'" in message and left_in(cache) == []
        mirror.behaviour = "good"
        assert load("tiny", weights=url).name == "tiny"

    @pytest.mark.parametrize("share", [0.001, 0.5, 0.999])
    def test_on_disk(self, share: float, content: bytes, tmp_path: Path) -> None:
        path = tmp_path / "half.bin"
        path.write_bytes(content[: int(len(content) * share)])
        # Of the first few bytes nobody can tell what they were to become.
        expected = "CC BY-NC" if path.stat().st_size < 30 else "get it again"
        assert expected in refusal(lambda: load("tiny", weights=path))

    def test_changed_anywhere(self, content: bytes, tmp_path: Path) -> None:
        """One line or the right network; never a traceback of a library."""
        path = tmp_path / "changed.bin"
        for number in range(3):
            changed = bytearray(content)
            changed[-1 - (len(content) - 1) * number // 3] ^= 0xFF
            path.write_bytes(changed)
            try:
                load("tiny", weights=path)
            except UserError as error:
                assert str(error).isprintable()


@pytest.mark.usefixtures("tiny_zoo")
@pytest.mark.parametrize("weights", [3, b"a.keras", "~nobody_of_this_name/a.keras", "x" * 5000])
def test_what_is_no_path(weights: Any) -> None:
    assert "`weights` must be" in refusal(lambda: load("tiny", weights=weights))


@pytest.mark.usefixtures("tiny_zoo")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_code_in_a_keras_file_does_not_run(suffix: str, tmp_path: Path) -> None:
    import tensorflow as tf

    images = tf.keras.Input((24, 24, 3))
    trap = tmp_path / "trap"

    def spring(x: Any, name: str = str(trap)) -> Any:
        os.mkdir(name)
        return x

    opened = tf.keras.layers.Lambda(spring)
    model = tf.keras.Model(images, opened(images))
    path = tmp_path / f"model{suffix}"
    model.save(path)
    trap.rmdir()
    assert "not of code" in refusal(lambda: load("tiny", weights=path))
    assert not trap.exists()
