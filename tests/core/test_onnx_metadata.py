"""The metadata of ONNX files, read without onnx: what onnx reads, and a sentence for whatever is no whole ONNX file."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from ocrdeploy.errors import BadInput
from ocrdeploy.onnxgraph import metadata


def a_model(entries: dict[str, str], weights: int = 3) -> Any:
    """Return y = x + w with these metadata."""
    values = np.arange(weights, dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", weights])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", weights])],
        [numpy_helper.from_array(values, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], producer_name="a test")
    helper.set_model_props(model, entries)
    return model


def saved(model: Any, path: Path) -> Path:
    path.write_bytes(model.SerializeToString())
    return path


ENTRIES = {
    "none": {},
    "one": {"ocrdeploy": "{}"},
    "an empty value": {"author": ""},
    "an empty key": {"": "value"},
    "many": {f"key {index}": str(index) * index for index in range(300)},
    "any script": {"ключ": "本日は\n晴天 🙂", "charset": "\u3000\x00\x7f"},
    "a huge one": {"character": "\n".join(chr(0x4E00 + index) for index in range(20_000)) * 20},
}


@pytest.mark.parametrize("kind", ENTRIES)
def test_metadata_are_what_onnx_reads(tmp_path: Path, kind: str) -> None:
    path = saved(a_model(ENTRIES[kind]), tmp_path / "model.onnx")
    assert metadata.read(path) == ENTRIES[kind]
    assert {entry.key: entry.value for entry in onnx.load(path).metadata_props} == ENTRIES[kind]


def test_of_two_entries_with_one_key_the_last_counts(tmp_path: Path) -> None:
    model = a_model({"key": "first"})
    model.metadata_props.add(key="key", value="second")
    assert metadata.read(saved(model, tmp_path / "model.onnx")) == {"key": "second"}


def test_a_model_with_every_kind_of_field_is_read(tmp_path: Path) -> None:
    model = a_model({"key": "value"}, weights=100_000)
    model.model_version = -1  # a varint of ten bytes
    model.doc_string = "text"
    model.training_info.add()
    function = helper.make_function("d", "F", ["a"], ["b"], [helper.make_node("Relu", ["a"], ["b"])], model.opset_import)
    model.functions.append(function)
    content = model.SerializeToString() + b"\xf9\x07" + bytes(8) + b"\xfd\x07" + bytes(4)  # fields of a later version
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert metadata.read(path) == {"key": "value"}


def test_a_file_cut_anywhere_is_refused_or_is_a_whole_shorter_model(tmp_path: Path) -> None:
    model = a_model({"a": "1", "ocrdeploy": "{}"})
    whole = model.SerializeToString()
    without = [a_model({}), a_model({"a": "1"})]
    sound = {each.SerializeToString(): metadata.read(saved(each, tmp_path / "sound.onnx")) for each in without}
    path = tmp_path / "model.onnx"
    accepted, complaints = [], set()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            found = metadata.read(path)
        except BadInput as error:
            complaints.add((error.problem, error.fix))
        else:
            accepted.append(whole[:length])
            assert found == sound[whole[:length]]
    fix = "name an ONNX file, or copy it again"
    assert complaints == {(f"{path} is empty", fix), (f"{path} is not an ONNX model, or is cut short", fix)}
    assert accepted == list(sound), "exactly the cuts that leave a graph, an opset and whole entries"


@pytest.mark.parametrize("field", ["graph", "opset_import"])
def test_a_model_without_what_every_model_has_is_refused(tmp_path: Path, field: str) -> None:
    model = a_model({"key": "value"})
    model.ClearField(field)
    with pytest.raises(BadInput, match="not an ONNX model, or is cut short"):
        metadata.read(saved(model, tmp_path / "model.onnx"))


def test_random_bytes_are_refused(tmp_path: Path) -> None:
    generator = random.Random(20)
    path = tmp_path / "model.onnx"
    for length in [1, 2, 3, 5, 8, 13, 50, 400, 3000] * 20:
        path.write_bytes(generator.randbytes(length))
        with pytest.raises(BadInput):
            metadata.read(path)


def test_a_model_with_damaged_bytes_never_gives_another_error(tmp_path: Path) -> None:
    generator = random.Random(21)
    whole = a_model({"ocrdeploy": '{"name": "x"}', "é": "ü"}).SerializeToString()
    path = tmp_path / "model.onnx"
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(generator.randint(1, 4)):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        path.write_bytes(damaged)
        try:
            found = metadata.read(path)
            metadata.external_files(path)
        except BadInput:
            refused += 1
        else:
            assert all(isinstance(text, str) for entry in found.items() for text in entry)
    assert refused > 50


def a_jpeg() -> bytes:
    encoded, content = cv2.imencode(".jpg", np.full((40, 60, 3), 200, np.uint8))
    assert encoded
    return content.tobytes()


OTHERS = {
    "a JPEG": a_jpeg(),
    "a text": b"This is not a model.\n" * 20,
    "a ZIP": b"PK\x03\x04" + bytes(100),
    "a checkpoint": b"\x80\x02}q\x00(X\x04\x00\x00\x00" + bytes(50),
    "zeros": bytes(5000),
    "a number without end": b"\xff" * 5000,
    "a field longer than the file": b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    "metadata that are no text": b"\x3a\x00\x42\x00\x72\x06\x0a\x01k\x12\x01\xff",
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_file_of_another_format_is_a_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(OTHERS[kind])
    with pytest.raises(BadInput) as caught:
        metadata.read(path)
    assert caught.value.problem == f"{path} is not an ONNX model, or is cut short"


def test_an_empty_file_a_folder_and_a_missing_file_are_sentences(tmp_path: Path) -> None:
    empty = tmp_path / "empty.onnx"
    empty.touch()
    for path, problem in (
        (empty, f"{empty} is empty"),
        (tmp_path, f"cannot read {tmp_path}: Is a directory"),
        (tmp_path / "missing.onnx", f"cannot read {tmp_path / 'missing.onnx'}: No such file or directory"),
    ):
        with pytest.raises(BadInput) as caught:
            metadata.read(path)
        assert caught.value.problem == problem


def test_weights_in_other_files_are_found(tmp_path: Path) -> None:
    model = a_model({}, weights=5000)
    assert metadata.external_files(saved(model, tmp_path / "model.onnx")) == []
    onnx.save(model, tmp_path / "split.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert metadata.external_files(tmp_path / "split.onnx") == ["weights.bin"]


def test_reading_metadata_imports_neither_onnx_nor_numpy(tmp_path: Path) -> None:
    path = saved(a_model({"key": "value"}), tmp_path / "model.onnx")
    script = (
        "import sys; from pathlib import Path; from ocrdeploy.onnxgraph import metadata; "
        "print(metadata.read(Path(sys.argv[1])), {'onnx', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "{'key': 'value'} set()\n"
