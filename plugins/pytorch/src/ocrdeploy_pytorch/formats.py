"""What kind of file a checkpoint is, by its first bytes, and whether a zip archive is one that `torch.save` wrote."""

from __future__ import annotations

import mmap
import re
import zipfile
from enum import Enum
from io import BytesIO
from pathlib import Path
from typing import IO, cast

from ocrdeploy.errors import BadInput
from ocrdeploy_pytorch import pickles

COPY_AGAIN = "copy or download it again"
_NAME_ONE = "name a checkpoint: what torch.save or safetensors wrote"


class Format(Enum):
    """A format of checkpoints, in words."""

    ZIP = "what torch.save writes since PyTorch 1.6"
    LEGACY = "what torch.save wrote before, and MMOCR's published checkpoints are"
    SAFETENSORS = "safetensors"


_ZIP = b"PK\x03\x04"
_LEGACY = re.compile(rb"\x80.\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)
"""A pickled number that begins every file of the old format."""

_SAFETENSORS = re.compile(rb".{6}\0\0\{", re.DOTALL)
_LEGACY_PICKLES = 5
"""A magic number, a version, facts of the machine, the values, the order of the storages; after them, the numbers."""

_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (rb"\xff\xd8\xff", "a JPEG picture"),
    (rb"\x89PNG", "a PNG picture"),
    (rb"%PDF", "a PDF document"),
    (rb"\x1f\x8b|BZh|\xfd7zXZ|7z\xbc\xaf|Rar!|\x28\xb5\x2f\xfd", "a compressed archive; unpack it first"),
    (rb"\x89HDF", "an HDF5 file"),
    (rb".{257}ustar", "a tar archive; unpack it first, or, if PyTorch 0.1 wrote it, save it again"),
    (rb"version https://git-lfs", "a Git LFS pointer, and not the file that it points to; run git lfs pull"),
    (rb"\s*<(!DOCTYPE|!doctype|html|\?xml)", "a web page, perhaps the answer to a failed download"),
    (rb"\x08[\x01-\x20][\x12\x1a\x22\x3a\x42]", "an ONNX model; give its file a name that ends in .onnx"),
    (rb"\x80[\x02-\x05]", "a pickle, but not one of torch.save"),
    (rb"[\t\n\r\x20-\x7e]+\Z", "a text file"),
)
_HEAD = 512


def recognise(path: Path) -> Format:
    """Return the format of a checkpoint. Raises `BadInput` for another kind of file, saying which it is where that is plain."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", "name a file that exists and that you may read") from None
    if not head:
        raise BadInput(f"{path} is empty", COPY_AGAIN)
    if head.startswith(_ZIP):
        return Format.ZIP
    if _LEGACY.match(head):
        return Format.LEGACY
    if _SAFETENSORS.match(head):
        return Format.SAFETENSORS
    for pattern, what in _FOREIGN:
        if re.match(pattern, head, re.DOTALL):
            raise BadInput(f"{path} is not a checkpoint but {what}", _NAME_ONE)
    raise BadInput(f"{path} is not a checkpoint: it begins with {head[:8]!r}", _NAME_ONE)


def check_zip(path: Path) -> set[str]:
    """Check an archive before PyTorch opens it; return what `pickles.check` returns. Raises `BadInput`.

    PyTorch would allocate what the archive declares, inflate what is compressed, and compare no checksum.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _check_archive(archive, path)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError) as error:
        raise BadInput(f"{path} is cut short or damaged: {error}", COPY_AGAIN) from None


def _check_archive(archive: zipfile.ZipFile, path: Path) -> set[str]:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    found = [name for name in names if name.split("/")[1:] == ["data.pkl"]]
    if any(name.split("/")[1:2] == ["code"] or name.endswith("/constants.pkl") for name in names):
        fix = "name the checkpoint that it was made from: a TorchScript file is a program, and is not run here"
        raise BadInput(f"{path} is a TorchScript archive, not a checkpoint", fix)
    if len(found) != 1:
        raise BadInput(f"{path} is a zip archive, and not one of torch.save: it has no single data.pkl", _NAME_ONE)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        fix = "take the original file; where it was unpacked and packed again, pack it without compression"
        raise BadInput(f"{path} is compressed, which torch.save never does", fix)
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise BadInput(f"{path} declares more than the file holds", COPY_AGAIN)
    if damaged := archive.testzip():
        raise BadInput(f"{path} is damaged: its part {damaged} does not have the checksum that it should have", COPY_AGAIN)
    with archive.open(found[0]) as stream:
        return pickles.check(BytesIO(stream.read()), str(path))


def check_legacy(path: Path) -> set[str]:
    """Check all pickles of a file in the old format; return what `pickles.check` returns. Raises `BadInput`."""
    # Read through a map: a string that declares a length of gigabytes is then cut at the end of the file.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
        return set[str]().union(*(pickles.check(cast("IO[bytes]", stream), str(path)) for _ in range(_LEGACY_PICKLES)))
