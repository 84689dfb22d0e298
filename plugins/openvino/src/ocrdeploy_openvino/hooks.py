"""What the plugin says to the core. OpenVINO is imported when a session is opened, and found, not imported, by the probe."""

from __future__ import annotations

import importlib.util
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ocrdeploy import Unavailable, hookimpl
from ocrdeploy.vocabulary import Artifact, BackendInfo, InferOptions, Probe, Session
from ocrdeploy_openvino.settings import CONVERSION, OPTIONS, PRECISIONS

ocrd_contract = 1

OLDEST = (2026, 0)
INSTALL = "pip install 'openvino>=2026.0'"


@hookimpl
def ocrd_backend() -> BackendInfo:
    """Announce the backend; half precision is a graph that the core has converted."""
    return BackendInfo("openvino", runs=("onnx",), precisions=PRECISIONS, options=(*OPTIONS, *CONVERSION), rank=-10)


@hookimpl
def ocrd_probe() -> Probe:
    """Say which OpenVINO is installed, and whether its files are where Python looks for them."""
    try:
        number = version("openvino")
    except PackageNotFoundError:
        return Probe(problem="openvino is not installed", fix=INSTALL)
    if tuple(map(int, re.findall(r"\d+", number)[:2])) < OLDEST:
        return Probe(version=number, problem=f"openvino {number} is older than this plugin was tested with", fix=INSTALL)
    if not _has_its_library():
        problem = f"openvino {number} is installed, and its files are not where Python looks for them"
        return Probe(version=number, problem=problem, fix=_reinstall(number))
    return Probe(version=number, device="cpu")


@hookimpl
def ocrd_infer(artifact: Artifact, options: InferOptions) -> Session:
    """Open an ONNX file."""
    try:
        from ocrdeploy_openvino import session
    except ImportError as error:
        raise Unavailable(f"openvino cannot be imported: {error}", _reinstall(version("openvino"))) from error
    return session.open_session(artifact, options)


def _has_its_library() -> bool:
    """Say whether what `import openvino` would find has its compiled part: a folder of that name alone can be imported, too."""
    found = importlib.util.find_spec("openvino")
    return bool(found and found.origin and any(Path(found.origin).parent.glob("_pyopenvino.*")))


def _reinstall(number: str) -> str:
    return f"pip install --force-reinstall --no-deps openvino=={number}"
