"""One ONNX file, opened once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ocrdeploy.errors import BadInput, OcrdError, Unavailable
from ocrdeploy.vocabulary import Artifact, InferOptions, Loaded, ModelSpec, Tensors, Threads
from ocrdeploy_onnxruntime import precision, providers, settings, signature
from ocrdeploy_onnxruntime.providers import CPU, DIRECTML, Wish

_REMEDIES = (
    ("not a registered function/op", "name the library that implements it: --custom-ops LIBRARY"),
    ("xternal data", "keep the files that hold the model's weights beside it"),
    ("opset", "pip install --upgrade onnxruntime, or export the model with an older opset"),
)


class OnnxSession:
    """A loaded model. `run` may be called from several threads at a time, except on DirectML."""

    def __init__(self, model: ModelSpec, session: Any, loaded: Loaded) -> None:
        self._model = model
        self._session = session
        self._loaded = loaded
        self._inputs = signature.ports(session.get_inputs())

    def run(self, inputs: Tensors) -> Tensors:
        """Return the outputs that the specification names, in its order."""
        session = self._session  # A close in another thread does not take it away in the middle of a run.
        if session is None:
            raise OcrdError(f"the session of model {self._model.name!r} is closed", "open a new one")
        signature.check_batch(self._model.name, self._inputs, inputs)
        try:
            outputs = session.run(list(self._model.outputs), dict(inputs))
        except Exception as error:
            shapes = ", ".join(f"{name!r} {array.shape}" for name, array in inputs.items())
            problem = f"onnxruntime could not run model {self._model.name!r} on {shapes}: {settings.reason(error)}"
            raise OcrdError(
                problem, "check that the model takes this size; where memory is short, a smaller batch helps"
            ) from error
        return dict(zip(self._model.outputs, outputs, strict=True))

    def loaded(self) -> Loaded:
        """Say what was loaded."""
        return self._loaded

    def close(self) -> None:
        """Free the model, once the runs that are under way have ended."""
        self._session = None


def open_session(ort: Any, artifact: Artifact, options: InferOptions) -> OnnxSession:
    """Open an ONNX file with the module `ort` on what the options ask for, or raise `OcrdError`."""
    values = settings.chosen(options.extra)
    if options.device == "auto" and not options.provider:
        return _open_auto(ort, artifact, options, values["cudnn_search"])
    wish = providers.wished(ort, options, settings.thread_count(options), values["cudnn_search"])
    return _open(ort, artifact, options, wish)


def _open_auto(ort: Any, artifact: Artifact, options: InferOptions, search: str) -> OnnxSession:
    why = providers.why_no_cuda(ort)
    if not why:
        try:
            return _open(ort, artifact, options, providers.cuda(0, search), "device auto: cuda:0")
        except Unavailable as error:
            why = error.problem
    return _open(ort, artifact, options, providers.cpu(), f"device auto: cpu ({why})")


def _open(ort: Any, artifact: Artifact, options: InferOptions, wish: Wish, chosen: str = "") -> OnnxSession:
    chain = [(wish.provider, dict(wish.options))] + ([(CPU, {})] if wish.provider != CPU else [])
    prepared = settings.session_options(ort, options)
    with _explained(ort, artifact.path, wish), providers.starting(ort, wish):
        # Its own fall-back, which is on by default, would print to standard output and go on with the CPU.
        graph = precision.rounding(artifact, options, wish) or _utf8(artifact.path)
        session = ort.InferenceSession(graph, prepared, providers=chain, enable_fallback=0)
    nodes = providers.prove(ort, session, wish)
    signature.check_spec(
        artifact.path, artifact.model, signature.ports(session.get_inputs()), signature.ports(session.get_outputs())
    )
    computed, shares = precision.prove(artifact, options, wish)
    loaded = Loaded(
        version=ort.__version__,
        device=wish.device,
        provider=wish.provider,
        precision=computed,
        threads=Threads.ONE if wish.provider == DIRECTML else Threads.ANY,
        chosen=chosen,
        details={"nodes": nodes, "threads": str(prepared.intra_op_num_threads), **shares},
    )
    return OnnxSession(artifact.model, session, loaded)


def _utf8(path: Path) -> str:
    """Return the path as ONNX Runtime takes it. Raises `BadInput` for one that is not UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise BadInput(f"onnxruntime cannot open {str(path)!a}: the name is not UTF-8", "rename the file") from None
    return str(path)


@contextmanager
def _explained(ort: Any, path: Path, wish: Wish) -> Iterator[None]:
    """Turn what ONNX Runtime raises while it loads a file into a sentence: about the file, or about the provider."""
    try:
        yield
    except (OcrdError, TypeError):  # A TypeError is a mistake of this plugin, not the user's.
        raise
    except Exception as error:
        text = settings.reason(error)
        if type(error).__name__ == "InvalidProtobuf" or "No graph was found" in text:
            raise BadInput(f"{path} is not an ONNX model, or is cut short", "name an ONNX file, or copy it again") from error
        if type(error).__name__ == "NoSuchFile":
            raise BadInput(f"there is no file {path}", "check the path") from error
        remedy = next((fix for sign, fix in _REMEDIES if sign in text), "")
        if wish.provider != CPU and not remedy:
            raise providers.did_not_start(ort, wish, text) from error
        fix = remedy or "check the file with onnx.checker, or export it again"
        raise BadInput(f"onnxruntime {ort.__version__} cannot load {path}: {text}", fix) from error
