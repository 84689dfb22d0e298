"""Install MMOCR 0.6.3 beside today's PyTorch: what `networks=mmocr` needs. `python -m ocrdeploy_pytorch.install_mmocr --help`.

`pip install 'ocrdeploy-pytorch[mmocr]'` names the same versions and fails: mmcv-full is compiled on the spot, against the
PyTorch that is here, by a build script of its time. This runs pip with what that script needs, in the environment of the
Python that runs it, and leaves everything else there as it is.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ocrdeploy.artifact import cache_folder

TORCH = "2.13.0"
"""Installed where there is none: what this was tried with."""

MMCV = "1.7.2"
LIBRARIES = ("mmdet==2.28.2", "mmocr==0.6.3")
"""Installed without what they require: that would bring a second OpenCV over the files of the first, and compile lanms-neo."""

# What importing `mmocr.models` imports. PyTorch's module for extensions, which MMCV imports, wants setuptools.
IMPORTED = (
    *("addict", "lmdb", "matplotlib", "numpy", "packaging", "pillow", "pyclipper", "pycocotools", "pyyaml", "rapidfuzz>=2"),
    *("scikit-image", "scipy", "setuptools", "shapely", "six", "terminaltables", "yapf"),
)

BUILD_TOOLS = ("setuptools<81", "wheel", "ninja", "psutil", "packaging")
"""MMCV's build script asks setuptools for pkg_resources, which newer ones do not have."""

# With it come neither debug information, which takes two thirds of the time, nor live assertions, one of which is wrong and
# ends the process in PANet's post-processing.
CFLAGS = "-g0 -O2 -DNDEBUG"

COMPILERS = ("c++", "g++", "clang++", "cl")

CHECK = """
from ocrdeploy_pytorch import specs
from ocrdeploy_pytorch.mmocr import networks as mmocr_networks
for name, model in specs.SIX.items():
    mmocr_networks.build(model.network)
    print("MMOCR built", name)
"""


class Failed(Exception):
    """What went wrong, in a sentence."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Install, and end with exit code 1 and a sentence where that failed."""
    parser = argparse.ArgumentParser(prog="python -m ocrdeploy_pytorch.install_mmocr", description=__doc__.split("\n\n")[0])
    parser.add_argument("--lite", action="store_true", help="compile nothing: for networks without deformable convolutions")
    parser.add_argument("--wheel", type=Path, help="a wheel of mmcv-full that was built earlier, for this Python and PyTorch")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="compilers at a time, 1 GB each (default: the cores)"
    )
    options = parser.parse_args(arguments)
    if options.lite and options.wheel:
        parser.error("--lite compiles nothing, so it takes no --wheel")
    try:
        install(options.lite, options.wheel, options.jobs)
    except Failed as error:
        sys.exit(f"error: {error}")


def install(lite: bool, wheel: Path | None, jobs: int) -> None:
    """Install MMCV (`lite`: without its compiled operators), MMDetection and MMOCR. Raises `Failed`."""
    if not _version("torch"):
        _pip("install", f"torch=={TORCH}")
    wheel = wheel or _built_wheel(lite, jobs)
    _pip("install", *IMPORTED)
    other = "mmcv-full" if lite else "mmcv"
    if _version(other):
        _pip("uninstall", "--yes", other)  # The two install the same files.
    _pip("install", "--no-deps", "--force-reinstall", str(wheel))
    _pip("install", "--no-deps", *LIBRARIES, _torchvision())
    _run([sys.executable, "-c", CHECK], os.environ)


def _built_wheel(lite: bool, jobs: int) -> Path:
    """Return a wheel of MMCV, from the cache folder where it was built before for this Python and PyTorch."""
    name = "mmcv" if lite else "mmcv-full"
    folder = cache_folder() / "wheels" / f"{sys.implementation.cache_tag}-torch{_version('torch')}"
    pattern = f"{name.replace('-', '_')}-{MMCV}-*.whl"
    if not any(folder.glob(pattern)):
        if not lite and not os.environ.get("CXX") and not any(map(shutil.which, COMPILERS)):
            raise Failed("mmcv-full is compiled, and there is no C++ compiler: install one, or use --lite or --wheel")
        with _build_environment(jobs, lite) as environment:
            # pip's own cache does not know which PyTorch a wheel was compiled against.
            how = ("--no-build-isolation", "--no-deps", "--no-cache-dir", "--wheel-dir", str(folder))
            _pip("wheel", *how, f"{name}=={MMCV}", environment=environment)
    return next(folder.glob(pattern))


@contextmanager
def _build_environment(jobs: int, lite: bool) -> Iterator[Mapping[str, str]]:
    """Yield the variables that the build needs; its tools lie in a folder of their own, in front of those installed here."""
    with tempfile.TemporaryDirectory(prefix="ocrdeploy-build-") as tools:
        _pip("install", "--target", tools, *BUILD_TOOLS)
        found = {
            **os.environ,
            "PYTHONPATH": tools,
            "PATH": os.pathsep.join((str(Path(tools) / "bin"), os.environ.get("PATH", ""))),
        }
        # For the CPU, on every machine: CUDA's compiler is seldom there, and the networks of the six configs need no operator.
        found |= {"MMCV_WITH_OPS": "0" if lite else "1", "MAX_JOBS": str(jobs), "CUDA_VISIBLE_DEVICES": "", "FORCE_CUDA": "0"}
        if os.name != "nt":
            found["CFLAGS"] = CFLAGS
        yield found


def _torchvision() -> str:
    """Return the requirement for the torchvision that belongs to the PyTorch that is here: 2.0 goes with 0.15, and so on."""
    major, minor = map(int, _version("torch").split(".")[:2])
    if major != 2:  # noqa: PLR2004 - PyTorch's version
        raise Failed(f"which torchvision belongs to PyTorch {_version('torch')} is not known: install PyTorch 2")
    return f"torchvision~=0.{minor + 15}.0"


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _pip(*arguments: str, environment: Mapping[str, str] | None = None) -> None:
    _run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], environment or os.environ)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    sys.stdout.write(f"+ {shlex.join(command)}\n")
    sys.stdout.flush()
    ended = subprocess.run(command, env=dict(environment), check=False)  # noqa: S603 - pip and Python, with names from above
    if ended.returncode:
        raise Failed(f"{shlex.join(command[:5])} ... ended with exit code {ended.returncode}; what it printed stands above")


if __name__ == "__main__":
    main()
