"""The one job of this Blender: what runs, what waits to be placed, what went wrong. Short errands may run beside it.

Everything stands at module level, outside the file's data, because undo and loading a file would undo it. `tick` is
the app timer of Blender's interface; scripts and background mode call `finish` instead. Targets are held by name and
looked up again at the end: the artist may have changed mode, scene, selection or file meanwhile.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import bpy
from bpy.app.handlers import persistent

from .. import paths, preferences
from ..control.rigify.again import check as check_control_rig
from ..scene import kept
from ..scene.creature import armatures_of, control_rig_of
from .batch_list import without_lost_masks
from .environment import SetUp
from .errors import LinkError
from .process import Backend, Job

TICK_SECONDS = 0.1
IDLE_TICK_SECONDS = 5.0
IDLE_SECONDS = 900.0
"""A backend without work is ended after this, to give its memory back; the next job starts a new one."""

JOBS_KEPT = 20
"""Folders of earlier results that stay. No creature needs them: what it does need of them is packed onto its armature."""

RECORD = "menagerie"
"""Custom property of a placed armature: JSON of photo, folder, settings and viewpoints."""


@dataclass
class Plan:
    """What a job is for. target: name of the armature that is replaced, "" for a new creature; scene: name; file: which of
    the files that were opened since Blender started it belongs to; spot: where a new creature goes; row: of which collection it is;
    method: of the wire, "animate" for a clip, which then is the `photo`; placing: what placing the result asks besides, JSON-able."""

    photo: str
    out: str
    settings: dict[str, Any]
    scene: str
    name: str
    target: str = ""
    file: int = field(default_factory=lambda: state.files)
    spot: tuple[float, float, float] = (0.0, 0.0, 0.0)
    row: str = ""
    method: str = "reconstruct"
    placing: dict[str, Any] = field(default_factory=dict)

    @property
    def at_home(self) -> bool:
        """Whether the file it was made for is still open: names of another file mean other things."""
        return self.file == state.files


@dataclass
class Session:
    """backend: the link, None before the first job; given: it was handed to `use`; job, plan: the running one;
    errands: other work of the backend (a click's mask, an installation), each with who is told of its end;
    ready: finished and not yet placed; error: the last failure in the wire's form, shown until dismissed;
    set_up: the running or last set-up; busy_at: monotonic time of the last work; files: how many have been opened."""

    backend: Backend | None = None
    given: bool = False
    job: Job | None = None
    plan: Plan | None = None
    errands: list[tuple[Job, Callable[[Job], None]]] = field(default_factory=list)
    ready: list[tuple[Plan, dict[str, Any]]] = field(default_factory=list)
    error: dict[str, str] | None = None
    last_creature: str = ""
    set_up: SetUp | None = None
    busy_at: float = 0.0
    files: int = 0


state: Session = Session()


def backend_for(context: bpy.types.Context) -> Backend:
    """The link with the preferences' environment and device; a new one where those have changed, unless a job runs in the old one.
    Raises `LinkError`."""
    link = state.backend
    if link is not None and (state.given or state.job is not None or state.errands):
        return link
    python, unit = preferences.backend_location(context)
    variables = preferences.backend_variables(context)
    if link is None or (link.python, link.unit, link.variables) != (python, unit, variables):
        if link is not None:
            link.stop()
        link = state.backend = Backend(python, unit, paths.version(), log_path(), variables=variables)
    return link


def use(backend: Backend) -> None:
    """Take another link (tests, the demo)."""
    if state.backend is not None and state.backend is not backend:
        state.backend.stop()
    state.backend, state.given = backend, True


def log_path() -> Path:
    """The backend's log."""
    return paths.user_folder("logs") / "backend.log"


def new_folder() -> Path:
    """A folder for one job; the oldest of the earlier ones go."""
    jobs = paths.user_folder("jobs")
    old = sorted((path for path in jobs.iterdir() if path.is_dir()), key=lambda path: path.name)
    kept = used_folders()
    for path in old[: max(0, len(old) - JOBS_KEPT)]:
        if str(path) not in kept:
            shutil.rmtree(path, ignore_errors=True)
    return jobs / f"{time.time_ns():020d}"


def used_folders() -> set[str]:
    """Folders that creatures of the open file or waiting results refer to: of their results and painted masks."""
    records = [record for thing in bpy.data.objects if (record := read_record(thing))]
    asked = [record["settings"] for record in records]
    masks = {str(Path(one.get("mask") or ".").parent) for one in asked} | {str(one.get("mask_dir") or "") for one in asked}
    return masks | {str(record.get("out", "")) for record in records} | {plan.out for plan, _ in state.ready}


def begin(context: bpy.types.Context, plan: Plan) -> Job:
    """Start the plan's job; returns at once. In Blender's interface a timer takes over. Raises `LinkError`."""
    if state.job is not None:
        raise LinkError("protocol", "A reconstruction is running already.", "Wait for it, or cancel it.")
    link = backend_for(context)
    state.error = None
    state.plan = plan
    source = {"clip" if plan.method == "animate" else "photo": Path(plan.photo).absolute()}
    state.job = link.begin(plan.method, **source, out=Path(plan.out).absolute(), name=plan.name, **plan.settings)
    watch()
    return state.job


def send(context: bpy.types.Context, method: str, ended: Callable[[Job], None], **params: Any) -> Job:
    """Start an errand; returns at once. ended: called by a later `pump`, with the job done. Raises `LinkError`."""
    job = backend_for(context).begin(method, **params)
    state.errands.append((job, ended))
    watch()
    return job


def forget(job: Job) -> None:
    """Nobody waits for this errand any more; it is stopped."""
    state.errands = [errand for errand in state.errands if errand[0] is not job]
    if state.backend is not None:
        state.backend.cancel(job)


def finish_errands(seconds: float = 600.0) -> None:
    """Wait for the errands: for background mode and scripts."""
    for job, _ in list(state.errands):
        if state.backend is not None:
            state.backend.run(job, seconds)
    pump()


def warm_up(context: bpy.types.Context) -> None:
    """Start the backend while the artist still looks at the settings; without an environment nothing happens."""
    if bpy.app.background or state.set_up is not None and not state.set_up.done:
        return
    try:
        backend_for(context).start()
    except LinkError:
        return  # said when Reconstruct is pressed
    watch()


def watch() -> None:
    """See to it that the timer runs, where there are timers."""
    state.busy_at = time.monotonic()
    if bpy.app.background:
        return
    if bpy.app.timers.is_registered(tick):
        bpy.app.timers.unregister(tick)  # it may be in its long pause
    # persistent: loading another file must not lose the job.
    bpy.app.timers.register(tick, first_interval=TICK_SECONDS, persistent=True)


def cancel() -> None:
    """Ask the running job to stop."""
    if state.job is not None and state.backend is not None:
        state.backend.cancel(state.job)


def pump() -> bool:
    """Move the running job along; True if something changed. Never waits."""
    changed = state.backend.pump() if state.backend is not None else False
    for errand in [errand for errand in state.errands if errand[0].done]:
        state.errands.remove(errand)
        errand[1](errand[0])
    job, plan = state.job, state.plan
    if job is None or plan is None or not job.done:
        return changed
    state.job = state.plan = None
    if job.state == "finished" and job.result is not None:
        state.ready.append((plan, job.result))
    elif job.error is not None and job.error.get("code") != "cancelled":
        state.error = job.error
    return True


def tick() -> float | None:
    """The timer: pump, redraw, place if the artist is where the result belongs. None ends the timer."""
    waiting = len(state.ready)
    if pump():
        redraw()
    if len(state.ready) > waiting:
        place_if_free()
    now = time.monotonic()
    if state.job is not None or state.errands:
        state.busy_at = now
        return TICK_SECONDS
    if state.backend is None or state.backend.state == "stopped":
        return None
    if now - state.busy_at > IDLE_SECONDS:
        state.backend.stop()
        return None
    return TICK_SECONDS if state.backend.state == "starting" else IDLE_TICK_SECONDS


def finish(context: bpy.types.Context, seconds: float = 3600.0) -> None:
    """Wait for the running job and place its result: for background mode and scripts. Raises `LinkError`."""
    job, link = state.job, state.backend
    if job is None or link is None:
        return
    link.run(job, seconds)
    pump()
    if job.error is not None:
        raise LinkError(job.error["code"], job.error["sentence"], job.error["remedy"])
    if state.ready:
        place()


def place(*words: Any) -> None:
    """Call the operator; words: context and undo, as operators take them. Raises `LinkError` with what it reported."""
    try:
        bpy.ops.menagerie.place(*words)
    except RuntimeError as reported:
        error = state.error
        if error is None:
            raise LinkError("internal", str(reported).strip()) from reported
        raise LinkError(error["code"], error["sentence"], error["remedy"]) from reported


def place_if_free() -> None:
    """Place the newest result, unless the artist is elsewhere: then it waits as "Ready: Place"."""

    def act() -> None:
        try:
            place("EXEC_DEFAULT", True)  # operators called from Python push no undo step by themselves
        except LinkError as error:
            state.error = error.to_wire()

    when_free(state.ready[-1][0], act)


def when_free(plan: Plan, act: Callable[[], None]) -> None:
    """Call `act` in the window that shows the plan's scene, if placing there changes nothing of what the artist is doing."""
    for window in bpy.context.window_manager.windows:
        if window.scene.name != plan.scene or window.screen.is_animation_playing:
            continue
        with bpy.context.temp_override(window=window, screen=window.screen):
            if may_place(bpy.context, plan):
                act()
                redraw()
        return


def may_place(context: bpy.types.Context, plan: Plan) -> bool:
    """True where placing changes nothing of what the artist is doing."""
    if not plan.at_home or context.mode != "OBJECT" or rendering() or context.scene.library is not None:
        return False
    if not plan.target:
        return True
    target = context.view_layer.objects.get(plan.target)
    seen = control_rig_of(target) or target  # a creature is hidden behind its control rig
    return seen is not None and seen.visible_get(view_layer=context.view_layer)


def rendering() -> bool:
    """Blender renders a picture or an animation now."""
    return bool(bpy.app.is_job_running("RENDER"))


def begin_set_up(context: bpy.types.Context, archive: Path | None) -> SetUp:
    """Start making the environment in a thread; the backend in use is stopped when the new one stands."""
    folder, picked, device = preferences.set_up_choices(context)
    state.set_up = SetUp(folder, paths.carried(), paths.version(), device=device, archive=archive, picked=picked).start()
    if not bpy.app.background and not bpy.app.timers.is_registered(watch_set_up):
        bpy.app.timers.register(watch_set_up, first_interval=TICK_SECONDS, persistent=True)
    return state.set_up


def watch_set_up() -> float | None:
    """The set-up's timer: redraw until it has ended."""
    redraw()
    if state.set_up is not None and not state.set_up.done:
        return 3 * TICK_SECONDS
    return None


def redraw() -> None:
    """Let the sidebars and the preferences show the new state. The viewports beside them stay: a heavy scene takes long to draw."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            shown = {"VIEW_3D": "UI", "PREFERENCES": "WINDOW"}.get(area.type)
            for region in area.regions:
                if region.type == shown:
                    region.tag_redraw()


def write_record(armature: bpy.types.Object, plan: Plan, report: dict[str, Any], photo_size: tuple[int, int]) -> None:
    """Remember on the armature where it came from, and keep what a later fit needs. photo_size: (width, height) in pixels."""
    record = {
        "photo": plan.photo, "out": plan.out, "name": plan.name, "settings": plan.settings, "viewpoint": report.get("viewpoint"),
        "viewpoints": report.get("viewpoints", []), "warnings": report.get("warnings", []), "scores": report.get("scores", {}),
        "photo_size": photo_size, "joints": report.get("joints", {}), "unsure": report.get("unsure", []),
        "method": plan.method, "placing": plan.placing,
    }  # fmt: skip
    armature[RECORD] = json.dumps(record, sort_keys=True, ensure_ascii=False)
    kept.pack(armature, Path(plan.out), [kept.MASK, *(view["file"] for view in record["viewpoints"])])
    state.last_creature = armature.name


def read_record(armature: bpy.types.Object | None) -> dict[str, Any]:
    """What `write_record` kept; {} for anything else, also for what a person typed there."""
    text = armature.get(RECORD) if armature is not None else None
    if not isinstance(text, str):
        return {}
    try:
        record = json.loads(text)
    except ValueError:
        return {}
    return record if isinstance(record, dict) and isinstance(record.get("settings"), dict) else {}


def creature_of(context: bpy.types.Context) -> bpy.types.Object | None:
    """The armature of the creature that the artist means: the active object's, else the last placed."""
    last = context.scene.objects.get(state.last_creature)
    return next((rig for rig in chain(armatures_of(context.object), [last]) if read_record(rig)), None)


def again(context: bpy.types.Context, **changes: Any) -> Plan:
    """A plan that fits the active creature's photo, or its photos, anew with some settings changed; a mask whose file is gone is replaced
    by the creature's own copy. Raises `LinkError`."""
    creature = creature_of(context)
    record = read_record(creature)
    if creature is None or not record:
        raise LinkError("protocol", "No creature is selected.", "Select a creature that Menagerie made.")
    check_control_rig(creature)  # said now, not when the result is there
    settings = {key: value for key, value in {**record["settings"], **changes}.items() if value is not None}
    if settings.get("mask") and not Path(settings["mask"]).is_file():
        settings["mask"] = str(kept.find(creature, Path(record["out"]), kept.MASK) or settings["mask"])
    settings = without_lost_masks(settings)
    ways = {"method": record.get("method", "reconstruct"), "placing": record.get("placing", {})}
    return Plan(record["photo"], str(new_folder()), settings, context.scene.name, record["name"], creature.name, **ways)


@persistent
def file_opened(*ignored: object) -> None:
    """Blender's handler: a result that belongs to the file before waits."""
    state.files += 1


def watch_files() -> None:
    """Begin to watch which file is open."""
    bpy.app.handlers.load_post.append(file_opened)


def close() -> None:
    """End everything: a timer that is pending when Blender exits crashes it."""
    for timer in (tick, watch_set_up):
        if bpy.app.timers.is_registered(timer):
            bpy.app.timers.unregister(timer)
    if file_opened in bpy.app.handlers.load_post:
        bpy.app.handlers.load_post.remove(file_opened)
    if state.set_up is not None:
        state.set_up.cancel()
    if state.backend is not None:
        state.backend.stop()
    state.backend = state.job = state.plan = state.error = None
    state.errands.clear()
    state.given = False
    state.ready.clear()
