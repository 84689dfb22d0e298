"""How long TensorRT builds each model, and how large the engine is, in every precision, for the model's own shapes.

    python benchmarks/tensorrt_builds.py [--precision fp32,fp16]

Prints a table. MMOCR's networks have the weights that PyTorch gives them: neither times nor sizes depend on them. Without a GPU
it takes TensorRT-RTX (pip install tensorrt-rtx), which finishes an engine on the GPU that it runs on; TensorRT itself measures
its kernels while it builds, and takes much longer.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from ocrdeploy import backend, building, models, plugins
from ocrdeploy.cores import usable_cores
from ocrdeploy.plugins import Plugins
from ocrdeploy.vocabulary import Artifact, BuildOptions
from ocrdeploy_pytorch.networks.build import build as network_of
from ocrdeploy_pytorch.specs import SIX

PPOCR = ("ppocr-v6-det", "ppocr-v6-rec", "ppocr-v2-cls")


def sources(found: Plugins, folder: Path) -> Iterator[Artifact]:
    """Yield the models: MMOCR's as untrained checkpoints, PP-OCR's as the files that they are."""
    for name, model in SIX.items():
        checkpoint = folder / f"{name}.pth"
        torch.save({"state_dict": network_of(model.network).state_dict()}, checkpoint)
        yield models.pair(found, name, checkpoint)
    for name in PPOCR:
        yield models.resolve(found, name, task=None)


def row(found: Plugins, source: Artifact, precision: str, folder: Path) -> str:
    """Build one engine, and return its row of the table."""
    # Untrained weights have no ranges worth measuring.
    options = BuildOptions(precision=precision, extra={"range_images": "none"})
    built = building.build(found, source, "tensorrt", folder / "model.engine", options, overwrite=True)
    facts = built.manifest.facts
    size = f"{built.size_bytes / 1e6:.1f}"
    return f"| {source.model.name} | {precision} | {facts['max_shape']} | {built.took_s:.1f} | {size} | {facts['layers']} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", maxsplit=1)[0])
    parser.add_argument("--precision", default="fp32,fp16")
    precisions = parser.parse_args().precision.split(",")
    found = plugins.discover()
    answer = backend.probe(found, "tensorrt")
    print(f"TensorRT {answer.version}, {answer.device or 'no GPU'}, {usable_cores()} cores, {platform.machine()}\n")
    print("| model | precision | largest shape | build, s | engine, MB | layers |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for source in sources(found, Path(folder)):
            for precision in precisions:
                print(row(found, source, precision, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
