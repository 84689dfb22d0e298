"""The files of the models, inside the wheel of another package that is never imported."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from ocrdeploy import BadInput, artifact
from ocrdeploy.onnxgraph import metadata

DISTRIBUTION, VERSION = "rapidocr", "3.10.0"
REPAIR = f"pip install --force-reinstall --no-deps {DISTRIBUTION}=={VERSION}"

FILES = {
    "ppocr-v6-det": ("PP-OCRv6_det_small.onnx", "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f"),
    "ppocr-v6-rec": ("PP-OCRv6_rec_small.onnx", "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884"),
    "ppocr-v2-cls": ("ch_ppocr_mobile_v2.0_cls_mobile.onnx", "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c"),
}
"""For each model its file in the folder rapidocr/models, and that file's SHA-256."""


def find(name: str) -> tuple[Path, str]:
    """Return the file of the model `name` and its SHA-256. Raises `BadInput` where it is missing or is another file."""
    file, expected = FILES[name]
    try:
        package = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        problem = f"{DISTRIBUTION} {VERSION}, whose wheel holds the weights of {name!r}, is not installed"
        raise BadInput(problem, f"pip install {DISTRIBUTION}=={VERSION}") from None
    path = Path(str(package.locate_file(f"rapidocr/models/{file}")))
    holder = f"{DISTRIBUTION} {package.version}"
    if not path.is_file():
        raise BadInput(f"the weights of {name!r} are missing from {holder}: there is no {path}", REPAIR)
    found = artifact.sha256(path)
    if found != expected:
        problem = (
            f"the weights of {name!r} in {holder} are not what they should be: the SHA-256 of {path} is {found}, not {expected}"
        )
        raise BadInput(problem, REPAIR)
    return path, found


def charset(path: Path) -> tuple[str, ...]:
    """Return the characters of a recognizer in class order, without the blank: a line each in its metadata, then a space."""
    return (*metadata.read(path)["character"].split("\n"), " ")
