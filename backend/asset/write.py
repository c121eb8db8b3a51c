"""Write an asset file: `types.Asset` in the object frame enters, one `.safetensors` file leaves, whole or not at all.

Equal assets give equal bytes. See `schema` for what stands in the file.
"""

from __future__ import annotations

import errno
import io
import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from backend.asset import schema
from backend.asset.container import Arrays, pack
from backend.errors import MenagerieError
from backend.frames import OBJECT_TO_BLENDER, object_to_blender
from backend.types import Asset, ByteArray

PNG_LEVEL = 6
"""zlib level of the texture: part of the bytes, so it never depends on a setting."""


def write_asset(asset: Asset, path: str | os.PathLike[str]) -> None:
    """Writes the asset (object frame) to `path`, replacing what is there in one step.

    Raises ValueError where the asset breaks the schema, MenagerieError disk_full or not_writable.
    """
    write_whole(encode_asset(asset), path)


def encode_asset(asset: Asset) -> bytes:
    """The asset file's bytes. Raises ValueError where the asset breaks the schema."""
    schema.check_asset(asset)
    mesh, skeleton, skin, camera = asset.mesh, asset.skeleton, asset.skin, asset.camera
    assert mesh.uvs is not None
    arrays: Arrays = {
        "mesh.vertices": object_to_blender(mesh.vertices),
        "mesh.faces": mesh.faces.astype(np.int32),
        "mesh.uvs": mesh.uvs.astype(np.float32),
        "skeleton.parents": skeleton.parents.astype(np.int32),
        "skeleton.connected": skeleton.connected,
        "skeleton.deform": skeleton.deform,
        "skeleton.heads": object_to_blender(skeleton.heads),
        "skeleton.tails": object_to_blender(skeleton.tails),
        "skeleton.z_axes": object_to_blender(skeleton.z_axes),
        "skin.bones": skin.bones.astype(np.int32),
        "skin.weights": skin.weights.astype(np.float32),
        "photo_pose.rotations": asset.photo_pose.rotations.astype(np.float32),
        "photo_pose.root_translation": object_to_blender(asset.photo_pose.root_translation),
        "camera.blender_to_camera": camera.object_to_camera.astype(np.float32) @ blender_to_object_matrix(),
        "texture.base_color": np.frombuffer(encode_png(asset.texture.base_color), np.uint8),
    }
    if mesh.mirror is not None:
        arrays["mesh.mirror"] = mesh.mirror.astype(np.int32)
    for number, motion in enumerate(asset.motions):
        arrays[f"motion.{number}.rotations"] = motion.rotations.astype(np.float32)
        arrays[f"motion.{number}.root_translations"] = object_to_blender(motion.root_translations)
        if motion.cameras is not None:
            arrays[f"motion.{number}.cameras"] = motion.cameras.astype(np.float32) @ blender_to_object_matrix()
    provenance = json.dumps(asset.provenance, sort_keys=True, allow_nan=False)
    if len(provenance.encode()) > schema.MAX_PROVENANCE_BYTES:
        raise ValueError("the provenance is too long")
    metadata: dict[str, Any] = {
        "schema": schema.VERSION,
        "name": asset.name,
        "metres": asset.metres,
        "bones": list(skeleton.names),
        "camera": {"width": camera.width, "height": camera.height, "focal_px": float(camera.focal_px)},
        "motions": [{"name": motion.name, "fps": float(motion.fps), "loop": bool(motion.loop)} for motion in asset.motions],
        "provenance": asset.provenance,
    }
    return pack(arrays, json.dumps(metadata, sort_keys=True, separators=(",", ":"), allow_nan=False))


def blender_to_object_matrix() -> np.ndarray[Any, np.dtype[np.float32]]:
    """(4, 4) float32 Blender frame -> object frame."""
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = OBJECT_TO_BLENDER.T
    return matrix


def encode_png(pixels: ByteArray) -> bytes:
    """(h, w, 3) uint8 sRGB, row 0 at the top -> PNG bytes, always the same for the same pixels."""
    buffer = io.BytesIO()
    PillowImage.fromarray(pixels, "RGB").save(buffer, "PNG", compress_level=PNG_LEVEL)
    return buffer.getvalue()


def write_whole(data: bytes, path: str | os.PathLike[str]) -> None:
    """Writes bytes under a temporary name in the same folder, flushes them to the disk and renames.

    Whatever fails, `path` is as it was and no temporary file is left.
    Raises MenagerieError: disk_full, or not_writable for any other failure of the file system.
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        name = target.parent / f".{target.name}.{secrets.token_hex(4)}.part"
        # Not mkstemp: its file could be read by its owner only, and keeps that after the rename.
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        temporary = name
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
        temporary = None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise MenagerieError("disk_full", f"There is no space left to write {target.name}.") from error
        raise MenagerieError("not_writable", f"{target.name} cannot be written: {error.strerror or error}.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Makes a rename in the folder last through a power cut, where the system can do that."""
    if os.name != "posix":  # Windows opens no folders
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.EROFS, errno.ENOTSUP):  # file systems without it
            raise MenagerieError("not_writable", f"The folder cannot be flushed: {error.strerror}.") from error
    finally:
        os.close(handle)
