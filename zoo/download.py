"""Files of weights on this machine: from the package, the cache or a mirror, and never unchecked.

    shipped in the package -> cache folder -> mirrors, in turn

A download goes into a part file beside its target and takes its place only when size and SHA-256
are right. A part that a mirror can go on from is kept for the next call; all else is removed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import os
import re
import shutil
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

from burn_tf._checks import UserError
from burn_tf._file_lock import hold_lock
from burn_tf._files import atomic_write
from zoo import manifest
from zoo.cache import HOME_VARIABLE, OFFLINE_VARIABLE, cache_folder, is_offline
from zoo.manifest import WeightFile
from zoo.transfer import DiskError, TransferError, transfer

STALL_SECONDS = 20.0
LOCK_SECONDS = 1800.0
# Of one mirror, as long as every one of them brings the file further.
ATTEMPTS = 8
_RECORD = ".sha256"
_PIN = re.compile(r"sha256=([0-9a-fA-F]{64})")


@dataclasses.dataclass(frozen=True)
class _Wanted:
    """What has to arrive; None where only the server knows.

    Args:
        size: in bytes.
        sha256: in hexadecimal.
        find_fault: says what else is wrong with a file.
    """

    size: int | None = None
    sha256: str | None = None
    find_fault: Callable[[Path], str | None] = lambda path: None

    def fault(self, path: Path) -> str | None:
        """What is wrong with the file, or None."""
        if not path.is_file():
            return "no file"
        size = path.stat().st_size
        if self.size is not None and size != self.size:
            return f"{size} bytes in place of {self.size}"
        if self.sha256 is not None and (found := sha256_of(path)) != self.sha256:
            return f"SHA-256 {found} in place of {self.sha256}"
        if self.sha256 is None and (size == 0 or _is_web_page(path)):
            return "a web page in place of a file" if size else "an empty file"
        return self.find_fault(path)


def _is_web_page(path: Path) -> bool:
    """What servers send, with a good status, where a login or a confirmation is missing."""
    with open(path, "rb") as file:
        return file.read(256).lstrip().lower().startswith((b"<!doctype html", b"<html"))


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fetch(file: WeightFile, stall_seconds: float = STALL_SECONDS) -> Path:
    """The path of a file of the manifest, checked; downloads it where it is not here yet.

    Args:
        file: name, size, hash and mirrors.
        stall_seconds: silence after which a mirror is given up.

    Raises:
        UserError: it is damaged in the package, not here and offline, on no mirror as it has to be,
            or there is no place for it.
    """
    wanted = _Wanted(file.size, file.sha256)
    shipped = manifest.FOLDER / "weights" / file.name
    if shipped.is_file():
        fault = wanted.fault(shipped)
        if fault is not None:
            raise UserError(f"{shipped} is damaged: reinstall burn_tf. Received: {fault}")
        return shipped
    # By their hash, so that two versions of the package can share a cache.
    target = cache_folder() / "weights" / file.sha256[:16] / file.name
    fault = wanted.fault(target)
    if fault is None:
        return target
    place = f"put it there yourself as {str(target)!r} (SHA-256 {file.sha256})"
    _check_online(file.name, place, fault)
    if not file.mirrors:
        raise UserError(f"{file.name!r} is on no mirror yet: {place}. Received: {fault}")
    with _claimed(target):
        if wanted.fault(target) is not None:
            _download(target, file.mirrors, wanted, stall_seconds, place)
    return target


def fetch_url(
    url: str,
    stall_seconds: float = STALL_SECONDS,
    find_fault: Callable[[Path], str | None] = lambda path: None,
) -> Path:
    """The path of a file that the user names by its address, kept in the cache.

    Args:
        url: http(s). With `#sha256=HEX` at its end the file must have that hash. Without, the
            hash of what arrives first is recorded, and the kept file is held to it later.
        stall_seconds: silence after which the server is given up.
        find_fault: says what is wrong with what arrived, which is then not kept; None: nothing.

    Raises:
        UserError: no such address, a wrong hash, a fault, offline, or no place for it.
    """
    address, pin = _split_pin(url)
    target = _place_of(address)
    if _kept(target, pin):
        return target
    place = "download it yourself and give its path"
    _check_online(address, place, "no file")
    with _claimed(target):
        if not _kept(target, pin):
            print(f"zoo: downloading {address}", file=sys.stderr)
            wanted = _Wanted(sha256=pin, find_fault=find_fault)
            _download(target, (address,), wanted, stall_seconds, place)
            _write_record(target)
    return target


def forget_url(url: str) -> None:
    """Remove what `fetch_url` kept for an address, unless its hash was given."""
    address, pin = _split_pin(url)
    target = _place_of(address)
    if pin is None and target.parent.is_dir():
        with _claimed(target):
            target.unlink(missing_ok=True)
            _record_of(target).unlink(missing_ok=True)


def is_url(text: str) -> bool:
    """Whether a text is an http(s) address."""
    return text.lower().startswith(("http://", "https://"))


def _split_pin(url: str) -> tuple[str, str | None]:
    address, _, fragment = url.partition("#")
    if not (is_url(address) and _has_host(address)):
        raise UserError(
            "an address must begin with https:// or http:// and a host, and have no spaces. "
            f"Received: {url!r}"
        )
    if not fragment:
        return address, None
    stated = _PIN.fullmatch(fragment)
    if stated is None:
        raise UserError(
            "an address may end in #sha256= and 64 hexadecimal digits, nothing else. "
            f"Received: #{fragment}"
        )
    return address, stated.group(1).lower()


def _has_host(address: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(address)
        # `port` raises for what is none.
        known = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return known and address.isprintable() and " " not in address


def _place_of(address: str) -> Path:
    """A folder of its own for each address: two servers may call different files the same."""
    last = urllib.parse.unquote(urllib.parse.urlsplit(address).path).rsplit("/", 1)[-1]
    name = re.sub(r"[^A-Za-z0-9._-]", "_", last).strip("._-")[-100:] or "weights"
    key = hashlib.sha256(address.encode("utf-8")).hexdigest()[:16]
    return cache_folder() / "downloads" / key / name


def _record_of(target: Path) -> Path:
    return target.with_name(target.name + _RECORD)


def _write_record(target: Path) -> None:
    record = _record_of(target)
    try:
        if record.is_symlink():
            record.unlink()  # Nothing is written through a link in the cache.
        atomic_write(record, sha256_of(target) + "\n")
    except OSError:
        target.unlink(missing_ok=True)
        raise


def _kept(target: Path, pin: str | None) -> bool:
    """Whether the file is here, is what was recorded, and is what the user asks for."""
    record = _record_of(target)
    if not (target.is_file() and record.is_file()):
        return False
    recorded = record.read_text(encoding="utf-8", errors="replace").strip()
    return recorded == sha256_of(target) and pin in (None, recorded)


def _check_online(what: str, place: str, fault: str) -> None:
    if is_offline():
        raise UserError(
            f"{what!r} is not in the cache, and {OFFLINE_VARIABLE} forbids downloads: unset it, or "
            f"{place}. Received: {fault}"
        )


@contextlib.contextmanager
def _claimed(target: Path) -> Iterator[None]:
    """The target's folder, made and locked; what the disk refuses becomes one line."""
    folder = target.parent
    try:
        with hold_lock(folder / f".{target.name}.lock", LOCK_SECONDS):
            yield
    except DiskError as error:
        raise _disk_trouble(folder, error.error) from error
    except OSError as error:
        raise _disk_trouble(folder, error) from error
    finally:
        # Gone if there is nothing in it.
        with contextlib.suppress(OSError):
            folder.rmdir()


def _disk_trouble(folder: Path, error: OSError) -> UserError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    cure = "free some space there" if full else "make it a folder that you may write to"
    return UserError(
        f"cannot write to {str(folder)!r}: {cure}, or set {HOME_VARIABLE} to another folder. "
        f"Received: {error.strerror or error}"
    )


def _download(
    target: Path, mirrors: tuple[str, ...], wanted: _Wanted, stall_seconds: float, place: str
) -> None:
    part = _part_of(target, wanted)
    _remove_other_parts(target, part)
    if part.is_symlink():
        part.unlink()
    _check_space(target.parent, part, wanted)
    failures, keep = [], False
    try:
        for mirror in mirrors:
            reason, resumable = _from_mirror(mirror, part, wanted, stall_seconds)
            if reason is None:
                os.replace(part, target)
                return
            failures.append(f"{mirror}: {reason}")
            keep = keep or resumable
    except DiskError:
        keep = False
        raise
    except KeyboardInterrupt:
        keep = wanted.sha256 is not None
        raise
    finally:
        if not (keep and _size(part)):
            part.unlink(missing_ok=True)
    raise UserError(
        f"cannot download {target.name!r}: check the network, or {place}. "
        f"Received: {'; '.join(failures)}"
    )


def _from_mirror(
    url: str, part: Path, wanted: _Wanted, stall_seconds: float
) -> tuple[str | None, bool]:
    """(None, False) when the right file is in `part`; else the reason and whether to keep it."""
    reason, resumable = "", False
    for _ in range(ATTEMPTS):
        if wanted.sha256 is None:
            # Nothing would tell two versions apart that were joined in the middle.
            part.unlink(missing_ok=True)
        before = _size(part)
        try:
            if wanted.size is None or before != wanted.size:
                transfer(url, part, wanted.size, stall_seconds)
        except TransferError as error:
            reason, resumable = str(error), error.resumable
            resumable = resumable and wanted.sha256 is not None
            rejected = before > 0 and not part.exists()
            if rejected or (resumable and _size(part) > before):
                continue
            break
        fault = wanted.fault(part)
        if fault is None:
            return None, False
        part.unlink()
        reason, resumable = fault, False
        if before == 0:
            break
    return reason, resumable


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _part_of(target: Path, wanted: _Wanted) -> Path:
    """Named by the hash, so that it is never gone on with for another file."""
    return target.with_name(f".{target.name}.{(wanted.sha256 or 'unknown')[:16]}.part")


def _remove_other_parts(target: Path, part: Path) -> None:
    for other in target.parent.glob(f".{target.name}.*.part"):
        if other != part:
            other.unlink(missing_ok=True)


def _check_space(folder: Path, part: Path, wanted: _Wanted) -> None:
    needed = (wanted.size or 0) - _size(part)
    if needed > shutil.disk_usage(folder).free:
        part.unlink(missing_ok=True)
        raise OSError(errno.ENOSPC, f"{needed} bytes more than there is room for")
