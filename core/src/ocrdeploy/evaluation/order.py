"""What a row of the table is: a model, or a pair, on one backend in one precision on one device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ocrdeploy.vocabulary import InferOptions


@dataclass(frozen=True, slots=True)
class Subject:
    """What is measured: one MODEL or a pair of them, as the user wrote them, each with its spec file or ''.

    `task`: detect | recognize | classify for one model, ocr for a pair. `shape`: the (height, width) that every picture is
    brought to, or None for the sizes that the model's own preprocessing gives. `batch_size`: pictures of one model, or lines
    of a pair, that run together. `min_score` leaves out less certain text of a pair.
    """

    task: str
    models: tuple[str, ...]
    spec_files: tuple[str, ...]
    batch_size: int = 1
    shape: tuple[int, int] | None = None
    min_score: float = 0.0


@dataclass(frozen=True, slots=True)
class Order:
    """One row: what is opened, and where. It travels to the row's process as JSON."""

    subject: Subject
    backend: str
    precision: str = "fp32"
    device: str = "auto"
    threads: int = 0
    provider: str = ""
    custom_ops: tuple[str, ...] = ()
    extra: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The row's name, such as "onnxruntime fp32 cpu"."""
        return f"{self.backend} {self.precision} {self.device}"

    @property
    def options(self) -> InferOptions:
        """The options that the sessions are opened with."""
        return InferOptions(
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            provider=self.provider,
            custom_ops=tuple(Path(library) for library in self.custom_ops),
            extra=dict(self.extra),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the order as JSON has it."""
        return asdict(self)


def from_dict(plain: Mapping[str, Any]) -> Order:
    """Return the order that `Order.to_dict` wrote, by way of JSON."""
    subject = dict(plain["subject"])
    shape = subject["shape"]
    made = Subject(
        task=subject["task"],
        models=tuple(subject["models"]),
        spec_files=tuple(subject["spec_files"]),
        batch_size=subject["batch_size"],
        shape=(shape[0], shape[1]) if shape else None,
        min_score=subject["min_score"],
    )
    return Order(**{**plain, "subject": made, "custom_ops": tuple(plain["custom_ops"])})
