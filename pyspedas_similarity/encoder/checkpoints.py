"""Checkpoints of a training run: one safetensors file with a JSON record, written atomically.

A checkpoint belongs to one run, identified by its plan and data. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import EncoderError
from ..files import replace_whole
from .backbone import BACKBONES
from .monitor import History

if TYPE_CHECKING:
    import torch

    from .training import Run

logger = logging.getLogger(__name__)

FILE = "checkpoint.safetensors"
FORMAT_VERSION = 1
_REMEDY = "Choose another folder, or remove it to start again."


class CheckpointStore:
    """Checkpoint file of a run with an identity."""

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EncoderError(str(folder), f"cannot be created ({error})", "Choose another folder.") from error
        self.folder, self.identity, self.warned = folder, identity, False

    def restore(self, run: Run) -> None:
        """Restore the state of `run` from the checkpoint, if there is one."""
        import torch

        found = read_checkpoint(self.folder, self.identity)
        if found is None:
            return
        tensors, record = found
        parts: dict[str, dict[str, Any]] = {"model": {}, "best": {}, "optimizer": {}}
        for name, values in tensors.items():
            part, _, key = name.partition(".")
            parts[part][key] = values if part == "best" else torch.from_numpy(values)
        memory: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, _, key = name.partition(".")
            memory.setdefault(int(index), {})[key] = value
        try:
            run.model.load_state_dict(parts["model"])
            run.optimizer.load_state_dict({**run.optimizer.state_dict(), "state": memory})
            run.history = History.from_dict(record, BACKBONES[run.plan.backbone])
            run.best = {key: parts["best"][key] for key in run.model.backbone.state_dict()}
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise EncoderError(str(self.folder), f"does not fit the network ({error})", _REMEDY) from error

    def save(self, run: Run) -> None:
        """Write a checkpoint; log the first failure."""
        tensors = {f"model.{key}": value.cpu().numpy() for key, value in run.model.state_dict().items()}
        tensors |= {f"best.{key}": value for key, value in run.best.items()}
        for index, memory in run.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value.cpu().numpy() for key, value in memory.items()}
        try:
            write_checkpoint(self.folder, self.identity, tensors, run.history.as_dict())
        except OSError as error:
            if not self.warned:
                logger.warning(
                    "No checkpoint can be written to %s (%s). Training continues; the previous one is kept.",
                    self.folder,
                    error,
                )
            self.warned = True


def write_checkpoint(
    folder: Path, run: dict[str, Any], tensors: Mapping[str, np.ndarray], record: dict[str, Any]
) -> None:
    """Write a checkpoint of the run with this identity (JSON types), atomically replacing the previous one."""
    from safetensors.numpy import save

    tensors = {name: np.array(values, order="C") for name, values in tensors.items()}
    kept = {"version": FORMAT_VERSION, "run": run, "record": record, "sha256": _sha256(tensors)}
    content = save(tensors, {"checkpoint": json.dumps(kept, allow_nan=False)})
    folder.mkdir(parents=True, exist_ok=True)
    replace_whole(folder / FILE, content)


def read_checkpoint(folder: Path, run: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]] | None:
    """Read tensors and record of the checkpoint of the run with this identity in `folder`; None if there is none."""
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
    return tensors, kept["record"]


def _differences(found: object, run: dict[str, Any]) -> str:
    found = found if isinstance(found, dict) else {}
    return "another " + ", ".join(key for key in run if found.get(key) != json.loads(json.dumps(run[key])))


def _sha256(tensors: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tensors[name].shape}".encode())
        digest.update(tensors[name].tobytes())
    return digest.hexdigest()
