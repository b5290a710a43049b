"""Checkpoints of a training run: one safetensors file with a JSON record, written atomically.

A checkpoint belongs to one run, identified by its plan and data. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import EncoderError
from ..files import replace_whole

FILE = "checkpoint.safetensors"
FORMAT_VERSION = 1
_REMEDY = "Choose another folder, or remove it to start again."


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State of a training run: weights and state of the optimizer, and a record of JSON types."""

    tensors: Mapping[str, np.ndarray]
    record: dict[str, Any]


def write_checkpoint(folder: Path, run: dict[str, Any], checkpoint: Checkpoint) -> None:
    """Write a checkpoint of the run with this identity (JSON types), atomically replacing the previous one."""
    from safetensors.numpy import save

    tensors = {name: np.array(values, order="C") for name, values in checkpoint.tensors.items()}
    kept = {"version": FORMAT_VERSION, "run": run, "record": checkpoint.record, "sha256": _sha256(tensors)}
    content = save(tensors, {"checkpoint": json.dumps(kept, allow_nan=False)})
    folder.mkdir(parents=True, exist_ok=True)
    replace_whole(folder / FILE, content)


def read_checkpoint(folder: Path, run: dict[str, Any]) -> Checkpoint | None:
    """Read the checkpoint of the run with this identity in `folder`; None if there is none."""
    from safetensors import SafetensorError, safe_open

    path = folder / FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, "numpy") as file:
            kept = json.loads((file.metadata() or {}).get("checkpoint", "null"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EncoderError(str(path), f"not readable as a checkpoint ({error})", _REMEDY) from error
    if not isinstance(kept, dict) or kept.get("version") != FORMAT_VERSION:
        raise EncoderError(str(path), "not a checkpoint of this version", _REMEDY)
    if kept.get("sha256") != _sha256(tensors) or not isinstance(kept.get("record"), dict):
        raise EncoderError(str(path), "damaged: its contents have changed", _REMEDY)
    if kept.get("run") != json.loads(json.dumps(run)):
        raise EncoderError(str(path), f"belongs to another run ({_differences(kept.get('run'), run)})", _REMEDY)
    return Checkpoint(tensors, kept["record"])


def _differences(found: object, run: dict[str, Any]) -> str:
    found = found if isinstance(found, dict) else {}
    return "another " + ", ".join(key for key in run if found.get(key) != json.loads(json.dumps(run[key])))


def _sha256(tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()
