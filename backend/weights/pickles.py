"""The one restricted reader of torch's pickle files: tensors come out, nothing that the file names is imported or run.

Enters a `.pth` file (torch's zip format, or the older stream of pickles); leaves plain dicts, lists, numbers, strings
and tensors. Every global that a checkpoint may name stands in `_ALLOWED`, mapped to an inert stand-in of our own;
any other name is refused. Used by `convert.py` alone, never while a job runs.
"""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from backend.errors import MenagerieError

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
LARGEST = 2 << 30
"""Bytes of one storage, or of a whole file, that are accepted."""

_STORAGES = {
    "FloatStorage": torch.float32, "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16, "DoubleStorage": torch.float64,
    "LongStorage": torch.int64, "IntStorage": torch.int32, "ShortStorage": torch.int16, "CharStorage": torch.int8,
    "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip


class _Rebuild:
    """Stands for `torch._utils._rebuild_tensor_v2`. No attributes, so that a BUILD opcode cannot change it."""

    __slots__ = ()

    def __call__(self, storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: object) -> Tensor:
        if not isinstance(storage, Tensor) or len(size) != len(stride) or offset < 0 or min((*size, *stride, 0)) < 0:
            raise pickle.UnpicklingError("a tensor's layout is not valid")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if 0 not in size else 0
        if last >= max(len(storage), 1):
            raise pickle.UnpicklingError("a tensor reaches past its storage")
        return storage.as_strided(size, stride, offset)


class _RebuildParameter:
    """Stands for `torch._utils._rebuild_parameter`."""

    __slots__ = ()

    def __call__(self, data: Tensor, *_: object) -> Tensor:
        return data


class _Ordered:
    """Stands for `collections.OrderedDict`: an ordinary dict."""

    __slots__ = ()

    def __call__(self, items: Any = ()) -> OrderedDict[Any, Any]:
        return OrderedDict(items)


class _Ignored:
    """Stands for a class whose content is not wanted; swallows every state."""

    __slots__ = ()

    def __new__(cls, *_: object, **__: object) -> Self:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass

    def __setitem__(self, key: object, value: object) -> None:
        pass

    def append(self, value: object) -> None:
        """Drop one item of a pickled list."""

    def extend(self, values: object) -> None:
        """Drop items of a pickled list."""


_ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _Ordered(),
    ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
    ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
    # The published 3D-Fauna checkpoint holds one object of this class; its numbers are a training log.
    ("video3d.utils.meters", "MetricsTrace"): _Ignored,
    ("model.utils.meters", "MetricsTrace"): _Ignored,
    **{("torch", name): dtype for name, dtype in _STORAGES.items()},
}


class _Reader(pickle.Unpickler):
    def __init__(self, stream: Any, storages: Any) -> None:
        super().__init__(stream, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for an allowed name; nothing is ever imported."""
        try:
            return _ALLOWED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not allowed") from None

    def persistent_load(self, pid: Any) -> Tensor:
        """A storage by its key: ("storage", dtype, key, device, count, ...)."""
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage" or not isinstance(pid[1], torch.dtype):
            raise pickle.UnpicklingError("a reference that is not a tensor's storage")
        if len(pid) > 5 and pid[5] is not None:
            raise pickle.UnpicklingError("a view of a storage, which is not supported")
        dtype, key, count = pid[1], pid[2], pid[4]
        if not isinstance(key, str) or not isinstance(count, int) or not 0 <= count * dtype.itemsize <= LARGEST:
            raise pickle.UnpicklingError("a storage of impossible size")
        return self._storages(key, dtype, count)


def _from_bytes(data: bytes, dtype: torch.dtype, count: int) -> Tensor:
    if len(data) != count * dtype.itemsize:
        raise pickle.UnpicklingError("a storage is cut short")
    return torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0, dtype=dtype)


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = {info.filename: info for info in archive.infolist()}
        if sum(info.file_size for info in names.values()) > LARGEST:
            raise pickle.UnpicklingError("it unpacks to too many bytes")
        roots = [name[: -len("data.pkl")] for name in names if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(roots) != 1:
            raise pickle.UnpicklingError("it is not a torch archive")
        root, done = roots[0], dict[tuple[str, torch.dtype], Tensor]()
        if f"{root}byteorder" in names and archive.read(f"{root}byteorder") != b"little":
            raise pickle.UnpicklingError("its numbers are not little-endian")

        def storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
            if (key, dtype) not in done:
                done[key, dtype] = _from_bytes(archive.read(f"{root}data/{key}"), dtype, count)
            return done[key, dtype]

        return _Reader(io.BytesIO(archive.read(f"{root}data.pkl")), storage).load()


def _read_legacy(path: Path) -> Any:
    """magic, protocol and system as pickles; the object; the list of storage keys; then count (int64) and numbers of each."""
    storages: dict[str, Tensor] = {}

    def storage(key: str, dtype: torch.dtype, count: int) -> Tensor:
        if key not in storages:
            if sum(s.nbytes for s in storages.values()) + count * dtype.itemsize > path.stat().st_size:
                raise pickle.UnpicklingError("its storages are larger than the file")
            storages[key] = torch.empty(count, dtype=dtype)
        return storages[key]

    with path.open("rb") as stream:
        if _Reader(stream, storage).load() != LEGACY_MAGIC or _Reader(stream, storage).load() != LEGACY_PROTOCOL:
            raise pickle.UnpicklingError("it is not a torch file")
        system = _Reader(stream, storage).load()
        if not isinstance(system, dict) or system.get("little_endian") is not True or sys.byteorder != "little":
            raise pickle.UnpicklingError("its numbers are not little-endian")
        content = _Reader(stream, storage).load()
        keys = _Reader(stream, storage).load()
        if not isinstance(keys, list) or set(keys) != set(storages):
            raise pickle.UnpicklingError("its list of storages is not whole")
        for key in keys:
            target = storages[key]
            if int.from_bytes(stream.read(8), "little") != len(target):
                raise pickle.UnpicklingError("a storage has another size than announced")
            target.copy_(_from_bytes(stream.read(target.nbytes), target.dtype, len(target)))
    return content


def read_pickle(path: Path) -> Any:
    """-> the object tree of a torch file, tensors on the CPU. Raises `weights_damaged` for anything that is not one."""
    remedy = "Get the file again from the place that the weights list names."
    try:
        if path.stat().st_size > LARGEST:
            raise pickle.UnpicklingError("it is too large")
        return _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
    except FileNotFoundError:
        raise MenagerieError("weights_missing", f"There is no file {path.name}.", remedy) from None
    except (
        pickle.UnpicklingError, zipfile.BadZipFile, EOFError, KeyError, IndexError, ValueError, TypeError, AttributeError,
        OverflowError, MemoryError, RuntimeError, NotImplementedError, RecursionError, ImportError,
    ) as error:  # fmt: skip
        # Pickle's machine answers a crafted file with almost any of these; each means the same to the person.
        reason = str(error) if isinstance(error, pickle.UnpicklingError) else type(error).__name__
        raise MenagerieError("weights_damaged", f"The file {path.name} was refused: {reason}.", remedy) from error
