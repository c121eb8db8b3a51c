"""Copy what a bug report needs: versions, device, state, the log's tail; no paths, no names of the person's files."""

from __future__ import annotations

import platform
import re
from pathlib import Path

import bpy

from .. import paths, preferences
from ..link import session, standing

TAIL_BYTES = 6000

_QUOTED = re.compile(r"""(?P<quote>["'])[^"'\n]*[\\/][^"'\n]*(?P=quote)""")
_BARE = re.compile(r"(?:[A-Za-z]:[\\/]|\\\\|~?/)[^\s\"'<>|:]*(?: [^\s\"'<>|:/\\]*[\\/][^\s\"'<>|:]*)*")


class MENAGERIE_OT_copy_diagnostics(bpy.types.Operator):
    """Copy versions, device, state and the end of the log, without any paths, for a bug report"""

    bl_idname = "menagerie.copy_diagnostics"
    bl_label = "Copy Diagnostics"

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = diagnostics(context)
        self.report({"INFO"}, "Diagnostics copied")
        return {"FINISHED"}


def diagnostics(context: bpy.types.Context) -> str:
    """The text that is copied."""
    state = standing.read_state(paths.user_folder())
    link = session.state.backend
    lines = [
        f"Menagerie {paths.version()}, Blender {bpy.app.version_string}, Python {platform.python_version()}",
        f"{platform.system()} {platform.release()} {platform.machine()}",
        f"device {preferences.device_of(context)}, environment {state.get('version', 'none')} for {state.get('device', '-')}",
        f"backend {link.state if link is not None else 'not started'}",
    ]
    if session.state.error is not None:
        lines.append(f"last error [{session.state.error['code']}] {session.state.error['sentence']}")
    set_up = session.state.set_up
    if set_up is not None:
        lines.append(f"set-up {set_up.stage}, {'ended' if set_up.done else 'running'}: {set_up.error or set_up.line}")
    lines += [f"weights {row.get('id')} {row.get('sha256', '')[:12]}" for row in preferences.weights()]
    lines += ["log:", tail(session.log_path())]
    return without_paths("\n".join(lines))


def tail(path: Path) -> str:
    """The end of a text file; "" if there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return ""


def without_paths(text: str) -> str:
    """Replace everything that looks like a path."""
    home = str(Path.home())
    text = text.replace(home, "~") if len(home) > 1 else text
    return _BARE.sub("<path>", _QUOTED.sub("<path>", text))
