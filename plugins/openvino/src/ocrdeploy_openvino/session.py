"""One ONNX file, compiled once."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openvino
from numpy.typing import NDArray
from openvino.frontend import FrontEndManager

from ocrdeploy.errors import BadInput, OcrdError, Unavailable
from ocrdeploy.vocabulary import Artifact, InferOptions, Loaded, ModelSpec, Tensors, Threads
from ocrdeploy_openvino import precision, settings, signature
from ocrdeploy_openvino.settings import CPU, Wish

_REMEDIES = (
    ("operations: ", "use --backend onnxruntime, or export the model without that operator"),
    ("external data", "keep the files that hold the model's weights beside it"),
)
_WHERE_IN_ITS_CODE = re.compile(r"(Exception from|Check '.*' failed at) \S+:\d+:|FrontEnd API failed with \w+:")


class OpenVinoSession:
    """A compiled model. `run` may be called from several threads at a time."""

    def __init__(self, model: ModelSpec, compiled: Any, loaded: Loaded, *, release: bool) -> None:
        self._model, self._loaded = model, loaded
        self._compiled = compiled
        self._inputs = signature.ports(compiled.inputs)
        outputs = signature.ports(compiled.outputs)
        self._outputs = {name: port.index for name in model.outputs if (port := signature.named(outputs, name))}
        self._idle: list[Any] = []  # Requests: each belongs to one run at a time.
        self._forgetful = _Forgetful() if release else None

    def run(self, inputs: Tensors) -> Tensors:
        """Return the outputs that the specification names, in its order."""
        compiled = self._compiled  # A close in another thread does not take it away in the middle of a run.
        if compiled is None:
            raise OcrdError(f"the session of model {self._model.name!r} is closed", "open a new one")
        arrays = signature.arranged(self._model.name, self._inputs, inputs)
        try:
            answers = (self._forgetful or self).infer(compiled, arrays)
        except Exception as error:
            shapes = ", ".join(f"{name!r} {array.shape}" for name, array in inputs.items())
            problem = f"OpenVINO could not run model {self._model.name!r} on {shapes}: {reason(error)}"
            raise OcrdError(
                problem, "check that the model takes this size; where memory is short, a smaller batch helps"
            ) from error
        return {name: answers[index] for name, index in self._outputs.items()}

    def infer(self, compiled: Any, arrays: Mapping[int, NDArray[Any]]) -> Any:
        """Run a batch whose arrays stand by the places of their ports, on a request that nobody else has."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = compiled.create_infer_request()
        answers = request.infer(arrays, share_inputs=True, share_outputs=False)
        if self._compiled is not None:
            self._idle.append(request)
        return answers

    def loaded(self) -> Loaded:
        """Say what was loaded."""
        return self._loaded

    def close(self) -> None:
        """Free the model, once the runs that are under way have ended."""
        self._compiled = None
        self._idle.clear()


class _Forgetful:
    """Runs one batch at a time, and has OpenVINO free what it keeps for a shape when another one comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shapes: Any = None

    def infer(self, compiled: Any, arrays: Mapping[int, NDArray[Any]]) -> Any:
        """Run a batch when no other one runs."""
        shapes = {index: array.shape for index, array in arrays.items()}
        with self._lock:
            if shapes != self._shapes:
                compiled.release_memory()
            self._shapes = shapes
            return compiled.create_infer_request().infer(arrays, share_inputs=True, share_outputs=False)


def open_session(artifact: Artifact, options: InferOptions) -> OpenVinoSession:
    """Open an ONNX file as the options ask for, or raise `OcrdError`."""
    core = openvino.Core()
    wish = settings.wished(options, core.available_devices)
    graph = _read(artifact.path)
    signature.check_spec(artifact.path, artifact.model, signature.ports(graph.inputs), signature.ports(graph.outputs))
    with _explained(artifact.path):
        compiled = core.compile_model(graph, wish.device, dict(wish.properties))
    counts = precision.computed(compiled)
    name = core.get_property(wish.device, "FULL_DEVICE_NAME")
    precision.check(artifact.path, options.precision, precision.of_graph(graph), counts, name)
    loaded = Loaded(
        version=openvino.get_version().split("-")[0],
        device=_device(compiled, wish),
        provider=wish.device,
        precision=precision.lowest(counts),
        threads=Threads.ANY,
        details=_details(compiled, wish, options) | {"kernels": ", ".join(f"{key} {count}" for key, count in counts.items())},
    )
    return OpenVinoSession(artifact.model, compiled, loaded, release=wish.release)


def _read(path: Path) -> Any:
    """Read an ONNX file. OpenVINO's own guess at a file's kind would have TensorFlow's reader complain on standard error."""
    try:
        name = path.resolve(strict=True).as_posix()
        name.encode()
    except UnicodeEncodeError:
        raise BadInput(f"OpenVINO cannot open {str(path)!a}: the name is not UTF-8", "rename the file") from None
    except OSError as error:
        raise BadInput(f"there is no file {path}", "check the path") from error
    with _explained(path):
        frontend = FrontEndManager().load_by_framework("onnx")
        graph = frontend.convert(frontend.load(name))
    if not graph.inputs:
        raise _no_model(path)
    return graph


def _device(compiled: Any, wish: Wish) -> str:
    """Return where the model runs, in the words of `--device`, by what OpenVINO says of the compiled model."""
    runs_on = list(compiled.get_property("EXECUTION_DEVICES"))
    if [each.partition(".")[0] for each in runs_on] != [wish.device.partition(".")[0]]:
        raise Unavailable(f"OpenVINO runs the model on {', '.join(runs_on)}, not on {wish.device}", "use --provider CPU")
    return wish.device.lower()


def _details(compiled: Any, wish: Wish, options: InferOptions) -> dict[str, str]:
    if wish.device != CPU:
        return {}
    threads = compiled.get_property("INFERENCE_NUM_THREADS")
    if options.threads and threads != options.threads:
        problem = f"OpenVINO takes {threads} threads here, and {options.threads} were asked for"
        raise Unavailable(problem, f"use --threads {threads}, or leave it out")
    return {"threads": str(threads), "streams": str(compiled.get_property("NUM_STREAMS"))}


def reason(error: Exception) -> str:
    """Return OpenVINO's message in one line, without the lines of its own code."""
    return " ".join(_WHERE_IN_ITS_CODE.sub("", str(error)).split())


def _no_model(path: Path) -> BadInput:
    return BadInput(f"{path} is not an ONNX model, or is cut short", "name an ONNX file, or copy it again")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what OpenVINO raises while it loads a file into a sentence."""
    try:
        yield
    except TypeError:  # A mistake of this plugin, not the user's.
        raise
    except Exception as error:
        text = reason(error)
        if "can't be parsed" in text:
            raise _no_model(path) from error
        fix = next((fix for sign, fix in _REMEDIES if sign in text), "check the file with onnx.checker, or export it again")
        raise BadInput(f"OpenVINO cannot load {path}: {text}", fix) from error
