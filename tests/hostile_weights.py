"""Encoders, networks, archives and exports made to do harm, from good ones.

Each case is a function that takes a folder with good files in it and changes them:

    encoder/card.json, weights.safetensors, encoder.onnx      network.onnx
    archive/...                                               rows.parquet
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SUMS = {"weights.safetensors": "weights_sha256", "encoder.onnx": "onnx_sha256"}


class Trap:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch '{self.path}'",)


def trap(folder: Path) -> bytes:
    """A pickle that makes a file called 'sprung' beside the good files."""
    return pickle.dumps(Trap(folder / "sprung"))


def rewrite(folder: Path, name: str, content: bytes, encoder: str = "encoder") -> None:
    """Replace a file of an encoder and its checksum on the card, as an attacker would."""
    (folder / encoder / name).write_bytes(content)
    on_card(folder, encoder, **{SUMS[name]: hashlib.sha256(content).hexdigest()})


def on_card(folder: Path, encoder: str = "encoder", **changes: Any) -> None:
    """Change fields of a card."""
    path = folder / encoder / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def safetensors(head: bytes | dict, body: bytes = b"", length: int | None = None) -> bytes:
    """Such a file with any head."""
    text = json.dumps(head).encode() if isinstance(head, dict) else head
    return struct.pack("<Q", len(text) if length is None else length) + text + body


def tensor(dtype: str = "F32", shape: tuple = (4,), offsets: tuple = (0, 16)) -> dict:
    """What a head says of one tensor."""
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def sealed(record: Any) -> bytes:
    """A record of an archive with its checksum, as somebody hostile would write it."""
    text = record if isinstance(record, bytes) else json.dumps(record).encode()
    return text + b"\n" + hashlib.sha256(text).hexdigest().encode() + b"\n"


def torch_file(folder: Path) -> bytes:
    """What ``torch.save`` writes: a pickle in a zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("archive/data.pkl", trap(folder))
    return out.getvalue()


def objects(folder: Path) -> bytes:
    """A NumPy file with a pickle in it."""
    out = io.BytesIO()
    np.savez(out, weights=np.array([Trap(folder / "sprung")], object))
    return out.getvalue()


# These load: what is hostile in them is not looked at.
HARMLESS = {"export: a pickle as the type of a column"}
DEEP = b'{"a":' * 100_000


def weight_cases() -> dict[str, Callable[[Path], None]]:
    """Of an encoder's weights and card."""
    heads: dict[str, bytes] = {
        "a head of 2^63 bytes": safetensors(b"{}", length=2**63),
        "a head of 100 MB": safetensors(b"{}", length=10**8),
        "a head that is no JSON": safetensors(b"{]"),
        "a head that is deep": safetensors(DEEP),
        "a tensor outside of the file": safetensors({"w": tensor(offsets=(0, 2**40), shape=(2**38,))}, bytes(16)),
        "a tensor before the file": safetensors({"w": tensor(offsets=(-16, 0))}, bytes(16)),
        "two tensors in one place": safetensors({"v": tensor(), "w": tensor()}, bytes(16)),
        "a tensor of 2^62 values": safetensors({"w": tensor(shape=(2**31, 2**31))}, bytes(16)),
        "a tensor of 2^66 values": safetensors({"w": tensor(shape=(2**33, 2**33))}, bytes(16)),
        "a tensor of an unknown type": safetensors({"w": tensor("O")}, bytes(16)),
        "not a number": safetensors({"w": tensor()}, np.full(4, np.nan, "<f4").tobytes()),
        "infinity in half precision": safetensors({"w": tensor("F16", (8,))}, np.full(8, np.inf, "<f2").tobytes()),
        "infinity in brain floats": safetensors({"w": tensor("BF16", (8,))}, np.full(8, 0x7F80, "<u2").tobytes()),
    }
    name = "weights.safetensors"
    cases = {
        f"weights: {key}": lambda at, content=content: rewrite(at, name, content) for key, content in heads.items()
    }
    return cases | {
        "weights: a pickle": lambda at: rewrite(at, name, trap(at)),
        "weights: a file of torch": lambda at: rewrite(at, name, torch_file(at)),
        "weights: a file of NumPy": lambda at: rewrite(at, name, objects(at)),
        "weights: a link to an endless device": lambda at: _linked(at / "encoder" / name, "/dev/zero"),
        "weights: a pipe": lambda at: _pipe(at / "encoder" / name),
        "weights: 8 GB of nothing": lambda at: _hole(at / "encoder" / name, 2**33),
        "card: a pickle": lambda at: (at / "encoder/card.json").write_bytes(trap(at)),
        "card: deep": lambda at: (at / "encoder/card.json").write_bytes(DEEP),
        "card: 8 GB of nothing": lambda at: _hole(at / "encoder/card.json", 2**33),
        "card: a number of 10^6 digits": lambda at: _in_card(at, '"channels": 1', '"channels": ' + "9" * 10**6),
        "card: 2^40 dimensions": lambda at: on_card(at, dimension=2**40),
        "card: a method that was removed": lambda at: on_card(at, method="hybrid"),
        "card: NaN": lambda at: _in_card(at, '"channels": 1', '"channels": NaN'),
        "card: a fixed encoder that is a path": lambda at: on_card(at, method="fixed transform", name="../passwd"),
        "card: a fixed encoder that is code": lambda at: on_card(at, method="fixed transform", name="exec('')"),
    }  # fmt: skip


def _in_card(at: Path, old: str, new: str) -> None:
    path = at / "encoder" / "card.json"
    path.write_text(path.read_text().replace(old, new))


def _linked(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _hole(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def network() -> Any:
    """A small network of somebody else: (n, 1, 16, 16) to 8 numbers."""
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(size=(256, 8)).astype(np.float32)
    nodes = [helper.make_node("Flatten", ["images"], ["flat"]), helper.make_node("MatMul", ["flat", "w"], ["features"])]
    ports = [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 1, 16, 16])]
    ends = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 8])]
    graph = helper.make_graph(nodes, "small", ports, ends, [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def network_cases() -> dict[str, Callable[[Any], Any]]:
    """Changes of an ONNX model; what comes back is a model or bytes."""
    from onnx import TensorProto, helper

    def outside(model: Any, place: str) -> Any:
        one = model.graph.initializer[0]
        one.ClearField("raw_data")
        one.data_location = TensorProto.EXTERNAL
        for key, value in (("location", place), ("offset", "0"), ("length", "16")):
            one.external_data.add(key=key, value=value)
        return model

    def extended(model: Any, *nodes: Any) -> Any:
        """Nodes behind the network whose output takes the place of its own."""
        end = model.graph.output[0].name
        for node in model.graph.node:
            for k, name in enumerate(node.output):
                node.output[k] = "before" if name == end else name
        model.graph.node.extend(nodes)
        return model

    def large(model: Any) -> Any:
        """Adds the sum of 10^11 zeros."""
        end = model.graph.output[0].name
        model.graph.initializer.append(helper.make_tensor("large", TensorProto.INT64, [2], [10**6, 10**5]))
        return extended(
            model,
            helper.make_node("ConstantOfShape", ["large"], ["zeros"]),
            helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
            helper.make_node("Add", ["before", "sum"], [end]),
        )

    def endless(model: Any) -> Any:
        end = model.graph.output[0].name
        ports = [helper.make_tensor_value_info(name, kind, []) for name, kind in (("i", 7), ("go", 9))]
        body = helper.make_graph(
            [helper.make_node("Identity", ["go"], ["on"])], "body", ports, [helper.make_tensor_value_info("on", 9, [])]
        )
        model.graph.initializer.append(helper.make_tensor("most", TensorProto.INT64, [], [2**62]))
        model.graph.initializer.append(helper.make_tensor("yes", TensorProto.BOOL, [], [True]))
        return extended(
            model,
            helper.make_node("Loop", ["most", "yes"], [], body=body),
            helper.make_node("Identity", ["before"], [end]),
        )

    def own(model: Any) -> Any:
        model.opset_import.append(helper.make_opsetid("their.own", 1))
        return extended(model, helper.make_node("Run", ["before"], [model.graph.output[0].name], domain="their.own"))

    def claimed(model: Any, dims: list[int], kind: int | None = None) -> Any:
        one = model.graph.initializer[0]
        one.dims[:] = dims
        one.data_type = one.data_type if kind is None else kind
        return model

    def deep(model: Any) -> bytes:
        content = b""
        for _ in range(10_000):
            content = b"\x2a" + _varint(len(content)) + content
        return b"\x3a" + _varint(len(content)) + content

    return {
        "a tensor in /etc/passwd": lambda model: outside(model, "/etc/passwd"),
        "a tensor in ../card.json": lambda model: outside(model, "../card.json"),
        "a tensor in card.json": lambda model: outside(model, "card.json"),
        "an operator of its own": own,
        "a loop of 2^62": endless,
        "10^11 zeros": large,
        "a constant of 2^60 values": lambda model: claimed(model, [2**30, 2**30]),
        "a constant of -1 values": lambda model: claimed(model, [-1]),
        "a constant of an unknown type": lambda model: claimed(model, [1], 99),
        "graphs within graphs": deep,
        "half of it": lambda model: model.SerializeToString()[: model.ByteSize() // 2],
        "no graph": lambda model: b"",
    }


def _varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def archive_cases() -> dict[str, Callable[[Path], None]]:
    """Of the records of an archive."""

    def record(at: Path, name: str, change: Callable[[dict], Any]) -> None:
        path = at / "archive" / name if "/" not in name else sorted((at / "archive").glob(name))[-1]
        text = path.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[0]
        content = sealed(change(json.loads(text)))
        path.write_bytes(content)
        if name == "archive.json":
            (at / "archive" / "archive.copy.json").write_bytes(content)

    def files(at: Path, name: str, content: bytes) -> None:
        for path in (at / "archive").glob(name):
            path.write_bytes(content)

    changes: dict[str, tuple[str, Callable[[dict], Any]]] = {
        "archive.json is deep": ("archive.json", lambda one: DEEP),
        "archive.json is a list": ("archive.json", lambda one: [one]),
        "archive.json says 2^40 dimensions": ("archive.json", lambda one: one | {"dimension": 2**40}),
        "archive.json says a text for a number": ("archive.json", lambda one: one | {"dimension": "16"}),
        "a commit record is deep": ("seals/*.json", lambda one: DEEP),
        "a commit record names files elsewhere": ("seals/*.json", lambda one: one | {"files": ["../../../etc/passwd"]}),
        "a commit record says no time": ("seals/*.json", lambda one: one | {"made": "__import__('os')"}),
        "a commit record says a list for a time": ("seals/*.json", lambda one: one | {"made": [1]}),
        "a commit record says a text for rows": ("seals/*.json", lambda one: one | {"rows": "many"}),
        "a commit record says a number for files": ("seals/*.json", lambda one: one | {"files": 3}),
        "a commit record says numbers for files": ("seals/*.json", lambda one: one | {"files": [1, None]}),
        "a commit record says another manifest": ("seals/*.json", lambda one: one | {"manifest": None}),
    }
    cases = {
        key: lambda at, name=name, change=change: record(at, name, change) for key, (name, change) in changes.items()
    }
    return cases | {
        "archive.json is a pickle": lambda at: files(at, "archive*.json", trap(at)),
        "a commit record is a pickle": lambda at: files(at, "seals/*.json", trap(at)),
        "a manifest is a pickle": lambda at: files(at, "rows.lance/_versions/*.manifest", trap(at)),
        "the rows are a pickle": lambda at: files(at, "rows.lance/data/*.lance", trap(at)),
    }


def export_cases() -> dict[str, Callable[[Path], None]]:
    """Of an exported archive, a Parquet file."""

    def table(at: Path) -> Any:
        import pyarrow.parquet as pq

        return pq.read_table(at / "rows.parquet")

    def written(at: Path, made: Any) -> None:
        import pyarrow.parquet as pq

        pq.write_table(made, at / "rows.parquet")

    def told(at: Path, change: Callable[[dict], Any]) -> None:
        made = table(at)
        (key,) = (one for one in made.schema.metadata if b"similarity" in one or b"identity" in one)
        changed = change(json.loads(made.schema.metadata[key]))
        text = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
        written(at, made.replace_schema_metadata({key: text}))

    def extension(at: Path) -> None:
        import pyarrow as pa

        made = table(at)
        about = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": trap(at)}
        fields = [
            made.schema.field(0).with_metadata(about),
            *(made.schema.field(k) for k in range(1, len(made.schema))),
        ]
        written(at, pa.Table.from_arrays(made.columns, schema=pa.schema(fields, made.schema.metadata)))

    def column(at: Path) -> None:
        import pyarrow as pa

        made = table(at)
        trapped = pa.array([trap(at)] * len(made))
        written(at, made.set_column(0, made.schema.names[0], trapped))

    return {
        "export: a pickle": lambda at: (at / "rows.parquet").write_bytes(trap(at)),
        "export: half of it": lambda at: os.truncate(at / "rows.parquet", (at / "rows.parquet").stat().st_size // 2),
        "export: nothing told": lambda at: written(at, table(at).replace_schema_metadata({})),
        "export: deep": lambda at: told(at, lambda one: DEEP),
        "export: 2^40 dimensions": lambda at: told(at, lambda one: one | {"dimension": 2**40}),
        "export: a list": lambda at: told(at, lambda one: [one]),
        "export: a pickle as the type of a column": extension,
        "export: pickles as a column": column,
    }
