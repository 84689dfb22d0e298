"""The fake backend with a switch for each defect that the contract suite has to find: OCRDEPLOY_DEFECT=NAME.

Without a switch it is right. `DEFECTS` says for each switch what is wrong, and which test of the suite is there for it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from ocrdeploy_fake import hooks as fake
from ocrdeploy_fake.network import Network
from ocrdeploy_fake.session import FakeSession

from ocrdeploy import BadInput, Unavailable, hookimpl
from ocrdeploy.vocabulary import Artifact, BackendInfo, InferOptions, Loaded, ModelSpec, Probe, Tensors, Threads

ocrd_contract = 1

DEFECT = os.environ.get("OCRDEPLOY_DEFECT", "")

Arrays: TypeAlias = dict[str, NDArray[Any]]

DEFECTS: Mapping[str, tuple[str, str]] = {
    "half": ("computes in fp16 and says fp32", "test_values_are_those_of_the_reference"),
    "bgr": ("takes the channels in the order of BGR", "test_values_are_those_of_the_reference"),
    "shifted": ("pads by a pixel too much on the left", "test_values_are_those_of_the_reference"),
    "positional": ("gives outputs in the graph's order the names of the spec's", "test_values_are_those_of_the_reference"),
    "flushed": ("takes small numbers, an empty page, for nothing", "test_values_of_blank_pictures_are_those_of_the_reference"),
    "renamed": ("calls outputs output_0, output_1", "test_outputs_have_the_names_of_the_spec"),
    "double": ("answers in float64", "test_outputs_are_float32_arrays_in_c_order"),
    "fortran": ("answers in Fortran order", "test_outputs_are_float32_arrays_in_c_order"),
    "resized": ("resizes pictures to the usual size in silence", "test_every_size_is_answered_as_it_is"),
    "parrot": ("announces tf32, and opens it in fp32 in silence", "test_every_precision_runs_as_announced_or_is_refused"),
    "swapped": ("answers the rows in reverse order", "test_every_row_of_a_batch_gets_its_own_answer"),
    "first": ("ignores all rows but the first", "test_every_row_of_a_batch_gets_its_own_answer"),
    "neighbours": ("scales a batch by its loudest picture", "test_a_row_does_not_depend_on_the_others"),
    "stuck": ("keeps the buffer of the first batch, whatever follows", "test_batches_of_all_sizes_follow_each_other"),
    "modifies": ("normalises its inputs in place", "test_inputs_are_not_modified"),
    "reused": ("answers in one buffer, again and again", "test_a_second_run_does_not_change_the_first_ones_result"),
    "freed": ("frees its results with the session", "test_results_outlive_the_session"),
    "remembers": (
        "remembers answers, and hands out its own copy",
        "test_what_the_caller_does_with_a_result_does_not_change_the_next",
    ),
    "aliased": ("gives two outputs one memory", "test_outputs_do_not_share_memory_with_each_other_or_with_the_inputs"),
    "stateful": ("carries a hidden state to the next run", "test_the_same_batch_is_answered_the_same_again"),
    "identity": ("knows arrays again by their identity", "test_an_array_that_was_filled_anew_is_read_anew"),
    "prints": ("prints how long a run took", "test_nothing_is_printed_on_standard_output"),
    "open": ("close does nothing", "test_run_after_close_is_refused"),
    "twice": ("raises where it is closed twice", "test_close_twice_does_nothing_the_second_time"),
    "shared": ("closes all sessions of a file with one of them", "test_two_sessions_of_one_file_do_not_disturb_each_other"),
    "global": ("keeps the network in a global variable", "test_sessions_of_two_models_do_not_disturb_each_other"),
    "races": ("allows threads, which share a buffer", "test_threads_may_run_it_as_it_declares"),
    "leaks": ("keeps every network that was opened", "test_two_hundred_sessions_leave_nothing_behind"),
    "device": ("runs on the CPU, whatever was asked for", "test_a_device_that_is_not_here_is_refused"),
    "provider": ("claims any provider that it is asked for", "test_a_provider_that_nobody_knows_is_refused"),
    "operators": ("ignores custom operators", "test_custom_operators_that_cannot_be_loaded_are_refused"),
    "loaded": ("says after a run that it is on another device", "test_loaded_says_what_runs_before_and_after_a_run"),
    "number": ("lets a ValueError of an option through", "test_an_option_with_a_value_that_makes_no_sense_is_no_crash"),
    "lazy": ("reads the file when it is first run", "test_a_cut_file_is_refused"),
    "crashes": ("lets zipfile's exceptions through", "test_a_file_of_another_format_is_refused"),
    "speechless": ("names no remedy", "test_a_file_that_is_not_there_is_refused"),
    "bare": ("raises a ValueError for a wrong shape", "test_a_batch_that_the_model_does_not_take_is_refused"),
    "bits": ("reads the bits of float64 as float32", "test_numbers_of_another_type_are_refused_or_read_rightly"),
    "litters": ("leaves a log beside the source", "test_a_build_writes_its_target_and_nothing_else"),
    "untrue": ("says a wrong sha256 of what it built", "test_what_a_build_says_of_its_file_is_so"),
    "heavy": ("imports onnx at every start", "test_static_hooks_are_quick_and_import_no_runtime"),
    "slow": ("looks for devices at every start", "test_static_hooks_are_quick_and_import_no_runtime"),
    "unprobed": ("imports its runtime unguarded", "test_the_probe_names_a_remedy_where_the_runtime_is_missing"),
    "hashed": ("orders outputs by their hashes", "test_fresh_processes_agree"),
    "unwhole": (
        "keeps a cache that may be half written",
        "test_a_process_that_is_killed_while_it_writes_leaves_nothing_half_written",
    ),
}
"""For each switch what is wrong, and the test that is there for it."""

if DEFECT == "heavy":
    import onnx as _  # noqa: F401 - the defect


@hookimpl
def ocrd_backend() -> BackendInfo:
    if DEFECT == "slow":
        time.sleep(0.7)
    precisions = ("fp32", "tf32") if DEFECT == "parrot" else ("fp32",)
    return replace(fake.ocrd_backend(), name="defective", runs=("fake",), precisions=precisions)


@hookimpl
def ocrd_probe() -> Probe:
    if DEFECT == "unprobed":
        import iniconfig  # what the distribution says that it requires

        assert iniconfig
    return Probe(version=version("numpy"), device="cpu")


@hookimpl
def ocrd_build(source: Artifact, target: Path) -> Artifact:
    if DEFECT == "litters":
        source.path.with_suffix(".log").write_text("built", encoding="utf-8")
    made = fake.ocrd_build(source, target)
    return replace(made, sha256=hashlib.sha256(b"").hexdigest()) if DEFECT == "untrue" else made


@hookimpl
def ocrd_infer(model: ModelSpec, artifact: Artifact, options: InferOptions) -> Any:
    if options.device not in ("auto", "cpu") and DEFECT != "device":
        raise Unavailable(f"there is no {options.device}", "use --device cpu")
    if options.provider and DEFECT != "provider":
        raise Unavailable("there are no providers", "leave --provider out")
    if options.custom_ops and DEFECT != "operators":
        raise Unavailable("there are no custom operators", "leave --custom-ops out")
    return DefectiveSession(model, artifact.path, options)


def _opened(model: ModelSpec, path: Path, options: InferOptions) -> FakeSession:
    delay = options.extra.get("delay_ms", "0")
    if DEFECT == "number":
        delay = str(int(delay))
    try:
        session = FakeSession(model, path, delay_ms=delay)
    except BadInput as error:
        if DEFECT == "crashes" and error.__cause__:
            raise error.__cause__ from None
        raise BadInput(error.problem, "" if DEFECT == "speechless" else error.fix) from error
    if DEFECT == "unwhole":
        _cached(session, path)
    return session


def _cached(session: FakeSession, path: Path) -> None:
    """Keep the weights in a file of their own, under its final name from the first byte on, and trust what is there."""
    assert session._network
    cache, weights = path.with_suffix(".cache"), session._network._weights
    if not cache.exists():
        cache.write_bytes(b"".join(array.tobytes() for array in weights.values()))
    content = cache.read_bytes().ljust(10**6, b"\0")
    for name, array in weights.items():
        weights[name] = np.frombuffer(content[: array.nbytes], array.dtype).reshape(array.shape)
        content = content[array.nbytes :]


SESSIONS: list[DefectiveSession] = []
NETWORKS: list[Network | None] = []


class DefectiveSession:
    def __init__(self, model: ModelSpec, path: Path, options: InferOptions) -> None:
        self.model, self.path, self.options = model, path, options
        self.inner = None if DEFECT == "lazy" else _opened(model, path, options)
        self.closed, self.runs, self.buffers, self.given = False, 0, {}, []  # type: ignore[var-annotated]
        self.known: dict[Any, Arrays] = {}
        if DEFECT in {"shared", "leaks"}:
            SESSIONS.append(self)
        if DEFECT == "global" and self.inner:
            NETWORKS[:] = [self.inner._network]

    def run(self, inputs: Tensors) -> Tensors:
        if self.inner is None:
            self.inner = _opened(self.model, self.path, self.options)
        if DEFECT == "global":
            self.inner._network = NETWORKS[0]
        if DEFECT == "prints":
            print("run took 0.1 ms")  # noqa: T201 - the defect
        if DEFECT == "bare":
            (pixels,) = inputs.values()
            _, _, _, _ = pixels.shape
        taken = BEFORE.get(DEFECT, _same)(self, dict(inputs))
        key = KEYS[DEFECT](taken) if DEFECT in KEYS else None
        if key in self.known:
            return self.known[key]
        outputs = dict(AFTER.get(DEFECT, _given)(self, taken, dict(self.inner.run(taken))))
        self.runs += 1
        self.given.append(outputs if DEFECT == "freed" else None)
        if key is not None:
            self.known[key] = outputs
        return outputs

    def loaded(self) -> Loaded:
        found = Loaded(version=np.__version__, device="cpu", provider="numpy", threads=Threads.ANY)
        if DEFECT == "loaded" and self.runs:
            return replace(found, device="cuda:0")
        return replace(found, provider=self.options.provider or found.provider)

    def close(self) -> None:
        if DEFECT == "open":
            return
        if DEFECT == "twice" and self.closed:
            raise RuntimeError("double free")
        self.closed = True
        same = [each for each in SESSIONS if each.path == self.path] if DEFECT == "shared" else [self]
        for session in same:
            if session.inner and DEFECT != "leaks":
                session.inner.close()
        if DEFECT == "leaks":
            self.inner = FakeSession(self.model, self.path, delay_ms="0")
            self.known["network"] = self.inner._network._weights  # type: ignore[union-attr]
            self.inner.close()
        for outputs in self.given:
            for array in (outputs or {}).values():
                array[...] = np.nan


def _same(_: DefectiveSession, inputs: Arrays) -> Arrays:
    return inputs


def _given(_: DefectiveSession, __: Arrays, outputs: Arrays) -> Arrays:
    return outputs


def _each(change: Callable[[NDArray[Any]], NDArray[Any]]) -> Callable[..., Arrays]:
    """Return a step that changes every array of what it is given last."""
    return lambda *given: {name: change(array) for name, array in given[-1].items()}


def _shift(pixels: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([np.zeros_like(pixels[..., :1]), pixels[..., :-1]], axis=-1)


def _resize(session: DefectiveSession, inputs: Arrays) -> Arrays:
    assert session.model.input.shapes
    height, width = session.model.input.shapes.opt[2:]
    ((name, pixels),) = inputs.items()
    rows = np.arange(height) * pixels.shape[2] // height
    columns = np.arange(width) * pixels.shape[3] // width
    return {name: pixels[:, :, rows][:, :, :, columns]}


def _normalise(_: DefectiveSession, inputs: Arrays) -> Arrays:
    for array in inputs.values():
        np.multiply(array, 0.5, out=array)
    return {name: array * 2 for name, array in inputs.items()}


def _loudest(pixels: NDArray[Any]) -> NDArray[Any]:
    scale = max(1.0, float(np.abs(pixels).max()) / 4)
    return (np.round(pixels / scale * 4096) * scale / 4096).astype(np.float32) if scale > 1 else pixels


def _stick(session: DefectiveSession, _: Arrays, outputs: Arrays) -> Arrays:
    for name, array in outputs.items():
        most = session.buffers.setdefault(name, len(array))
        array[most:] = 0
    return outputs


def _reuse(session: DefectiveSession, _: Arrays, outputs: Arrays) -> Arrays:
    for name, array in outputs.items():
        memory = session.buffers.setdefault(name, np.zeros(10**6, np.float32))[: array.size].reshape(array.shape)
        memory[...] = array
        outputs[name] = memory
    return outputs


def _carry(session: DefectiveSession, _: Arrays, outputs: Arrays) -> Arrays:
    for name, array in outputs.items():
        np.add(array, np.float32(0.01) * session.buffers.get(name, np.float32(0)), out=array)
        session.buffers[name] = np.float32(array.mean())
    return outputs


def _race(session: DefectiveSession, inputs: Arrays, _: Arrays) -> Arrays:
    session.buffers["picture"] = inputs
    time.sleep(0.005)
    assert session.inner
    return dict(session.inner.run(session.buffers["picture"]))


def _exchange(outputs: Arrays) -> Arrays:
    return dict(zip(outputs, reversed(list(outputs.values())), strict=True))


def _bits(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels.view(np.float32)[..., : pixels.shape[-1]] if pixels.dtype == np.float64 else pixels


BEFORE: Mapping[str, Callable[[DefectiveSession, Arrays], Arrays]] = {
    "half": _each(lambda pixels: pixels.astype(np.float16).astype(np.float32)),
    "bgr": _each(lambda pixels: pixels[:, ::-1] if pixels.ndim == 4 else pixels),
    "shifted": _each(_shift),
    "flushed": _each(lambda pixels: np.where(pixels.std() == 0, np.float32(0), pixels)),
    "resized": _resize,
    "modifies": _normalise,
    "neighbours": _each(_loudest),
    "bits": _each(_bits),
}
AFTER: Mapping[str, Callable[[DefectiveSession, Arrays, Arrays], Arrays]] = {
    "positional": lambda _, __, outputs: _exchange(outputs),
    "hashed": lambda _, __, outputs: _exchange(outputs) if hash("map") < hash("edges") else outputs,
    "renamed": lambda _, __, outputs: {f"output_{index}": array for index, array in enumerate(outputs.values())},
    "double": _each(lambda array: array.astype(np.float64)),
    "fortran": _each(np.asfortranarray),
    "swapped": _each(lambda array: np.ascontiguousarray(array[::-1])),
    "first": _each(lambda array: array[:1].copy()),
    "stuck": _stick,
    "reused": _reuse,
    "aliased": lambda _, __, outputs: dict.fromkeys(outputs, next(iter(outputs.values()))),
    "stateful": _carry,
    "races": _race,
}
KEYS: Mapping[str, Callable[[Arrays], Any]] = {
    "remembers": lambda inputs: b"".join(array.tobytes() for array in inputs.values()),
    "identity": lambda inputs: tuple(map(id, inputs.values())),
}
