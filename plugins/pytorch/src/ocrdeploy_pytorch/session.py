"""One checkpoint, opened once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ocrdeploy.errors import BadInput, OcrdError
from ocrdeploy.vocabulary import Artifact, InferOptions, Loaded, ModelSpec, Tensors, Threads
from ocrdeploy_pytorch import arithmetic, checkpoint, devices, settings, untrained
from ocrdeploy_pytorch.networks.build import limits

_TRIAL = (64, 96)
"""(height, width), in pixels, of the picture that proves that the network runs; a line is as high as its network takes it.

Sides of one length would make `torch.compile` take that for a rule.
"""

_AXES = 4


class TorchSession:
    """A network with its weights. `run` may be called from several threads; one run at a time has PyTorch's settings."""

    def __init__(
        self,
        model: ModelSpec,
        network: nn.Module,
        options: InferOptions,
        device: torch.device,
        *,
        chosen: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        values = settings.chosen(options.extra)
        if model.network.get("architecture") == "mmocr":
            values["networks"] = "mmocr"  # also where nobody asked for it, since there is no other
        self._model, self._limits = model, limits(model.network)
        self._device, self._dtype, self._precision = device, arithmetic.DTYPES[options.precision], options.precision
        self._format = torch.channels_last if values["channels_last"] == "on" else torch.contiguous_format
        self._threads = settings.thread_count(options)
        self._compiled = values["compile"] == "on"
        weights: Any = network.eval().requires_grad_(requires_grad=False).to(device)
        arithmetic.cast(weights, options.precision)
        weights = weights.to(memory_format=self._format)
        self._network: Any = torch.compile(weights, dynamic=True) if self._compiled else weights
        details = {"threads": str(self._threads), **values, "weights": "; ".join(notes)}
        self._loaded = Loaded(
            version=torch.__version__,
            device=str(device),
            provider=devices.name(device),
            precision=self._prove(weights),
            threads=Threads.ANY,
            chosen=chosen,
            details={key: value for key, value in details.items() if value},
        )

    def run(self, inputs: Tensors) -> Tensors:
        """Return the network's raw output, as float32."""
        network = self._network  # A close in another thread does not take it away in the middle of a run.
        if network is None:
            raise OcrdError(f"the session of model {self._model.name!r} is closed", "open a new one")
        pictures = self._checked(inputs)
        with self._explained(pictures), arithmetic.computing(self._precision, self._threads):
            output: NDArray[Any] = self._forward(network, pictures).float().cpu().contiguous().numpy()
        return {self._model.outputs[0]: output}

    def loaded(self) -> Loaded:
        """Say what was loaded."""
        return self._loaded

    def close(self) -> None:
        """Free the network, once the runs that are under way have ended."""
        if self._network is not None and self._device.type == "cuda":
            self._network = None
            torch.cuda.empty_cache()
        self._network = None

    def _prove(self, weights: nn.Module) -> str:
        """Run the network once, on nothing, and return the precision that it computes in."""
        height, width = _TRIAL
        # Of a network that MMOCR builds nothing is known but how high its lines are.
        height = self._limits.height or getattr(self._model.input.resize, "height", height)
        nothing = np.zeros((1, self._model.input.channels, height, width), np.float32)
        with self._explained(nothing), arithmetic.computing(self._precision, self._threads):
            return arithmetic.proved(self._precision, weights, self._forward(self._network, nothing))

    def _forward(self, network: Any, pictures: NDArray[np.float32]) -> Tensor:
        # The tensor shares the array's memory, which PyTorch wants to be writable even though nothing writes to it.
        shared = torch.from_numpy(pictures if pictures.flags.writeable else pictures.copy())
        output: Tensor = network(shared.to(self._device, self._dtype, memory_format=self._format))
        return output

    def _checked(self, inputs: Tensors) -> NDArray[np.float32]:
        name, channels = self._model.input.name, self._model.input.channels
        array = inputs.get(name)
        if array is None or len(inputs) > 1 or not _is_batch(array, channels):
            given = ", ".join(f"{key!r}: {each.dtype} {each.shape}" for key, each in inputs.items()) or "nothing"
            raise BadInput(
                f"model {self._model.name!r} takes {name!r}: float32 (?, {channels}, ?, ?), and was given {given}",
                "let ocrdeploy.batching make the batch from the model's own specification",
            )
        self._limits.check(self._model.name, *array.shape[2:])
        return np.ascontiguousarray(array)

    @contextmanager
    def _explained(self, pictures: NDArray[np.float32]) -> Iterator[None]:
        """Turn what PyTorch raises while it runs into a sentence."""
        try:
            yield
        except OcrdError:
            raise
        except (torch.OutOfMemoryError, MemoryError) as error:
            problem = f"model {self._model.name!r} does not fit into the memory of {self._device} for {pictures.shape}"
            raise OcrdError(problem, "use a smaller batch or picture") from error
        except Exception as error:
            reason = next(iter(str(error).splitlines()), "") or type(error).__name__
            problem = f"torch could not run model {self._model.name!r} on {pictures.shape}: {reason}"
            compiler = "leave compile=on out (on the CPU it needs a C++ compiler); " if self._compiled else ""
            raise OcrdError(problem, f"{compiler}check that the model takes this size") from error


def open_session(artifact: Artifact, options: InferOptions) -> TorchSession:
    """Open a checkpoint on what the options ask for, or raise `OcrdError`."""
    settings.refuse_foreign(options)
    model = artifact.model
    if model.input.layout != "NCHW" or model.input.side_inputs or len(model.outputs) != 1:
        problem = f"model {model.name!r} has another input or output than its network: one picture, NCHW, and one output"
        raise BadInput(problem, "use the specification that belongs to this checkpoint")
    device, chosen = devices.choose(options.device)
    arithmetic.require(options.precision, device)
    network = untrained.network_of(model, settings.chosen(options.extra))
    notes = checkpoint.load(network, artifact.path, model)
    return TorchSession(model, network, options, device, chosen=chosen, notes=notes)


def _is_batch(array: NDArray[Any], channels: int) -> bool:
    return array.dtype == np.float32 and array.ndim == _AXES and array.shape[1] == channels and 0 not in array.shape
