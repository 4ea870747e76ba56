"""Pictures are rendered in a copy of the scene: the artist's own is never left changed while Blender handles events.

The copy shares all objects with the scene and has settings of its own, which nobody has to put back. What belongs to
the artist and must be different for a picture, such as an object's pass index, is borrowed: it is put back as soon as
Blender has made its own copy of it, before the turn ends. In a window a render is a job of Blender's, so that the
window lives; in background mode it is done at once.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy
from bpy.app.handlers import persistent
from bpy.types import Scene, ViewLayer

from ..ground import compat, moments, temporary
from ..ground.references import Place, of_session
from ..wire.tasks import Steps, T
from .intrinsics import CaptureError
from .render_settings import Overrides

Told = Callable[[str, float], None]
"""Gets what is going on, in words, and how much of it is done, 0 to 1."""

Borrow = Callable[[Overrides], None]
"""Changes what belongs to the artist, through the overrides it is given."""

TAKING = "Taking the picture"
COPY_SECONDS = 60.0
"""How long Blender may take to copy what it renders; an evaluation that is longer is waited for no longer."""

WAIT = 0.01
HOLD_SECONDS = 5.0
"""How long a render that has begun waits for Blender's main loop; one that has waited longer is of no use."""

SETTLED_SECONDS = 0.5
"""After so long a render that was cancelled as it began can be ended; most have ended by then."""

_COUNT = re.compile(r"(\d+) ?/ ?(\d+)")


class Disturbed(CaptureError):
    """What is in the picture has changed while it was taken; it can be taken again."""

    def __init__(self) -> None:
        message = "The scene went on changing while its picture was taken."
        super().__init__(message, "Generate again, and leave it as it is for a moment.")


def nothing_borrowed(_: Overrides) -> None:
    """Nothing of the artist's has to be different."""


class Stage:
    """A copy of a scene, in which pictures are taken.

    always: what is borrowed for every picture.
    """

    def __init__(self, scene: Scene, view_layer: ViewLayer, told: Told) -> None:
        self.always: Borrow = nothing_borrowed
        self._told = told
        self._source, self._layer = Place.of(scene, view_layer), view_layer.name
        copy = scene.copy()
        copy.name = "Set Dresser picture"
        self._kept = [temporary.keep(copy)]
        self._copy = self._kept[0]
        self._seen = _state(scene, view_layer)
        self._stale = False
        self._running = False

    @property
    def scene(self) -> Scene:
        """The copy: change it as you like. Never kept between turns. Raises Disturbed if it is gone."""
        found = None if self._stale else of_session(bpy.data.scenes, self._copy)
        if found is None:
            raise Disturbed
        return found

    @property
    def view_layer(self) -> ViewLayer:
        """The copy's view layer, the only one that is rendered."""
        return self.scene.view_layers[self._layer]

    def keep(self, datablock: bpy.types.ID) -> None:
        """A datablock that was made for the pictures, and goes with the copy."""
        self._kept.append(temporary.keep(datablock))

    def render(self, path: Path, borrow: Borrow = nothing_borrowed, counts: bool = False) -> Steps[None]:
        """Render the frame of the copy to a file.

        Args:
            borrow: what is borrowed for this picture; called once, right before Blender makes its copy.
            counts: whether it is long enough for its progress to be told.

        Raises CaptureError: with Blender's own words if it fails or is stopped; Disturbed: if the scene has changed
        since the stage was made.
        """
        if bpy.app.background:
            with Overrides() as overrides:
                self.always(overrides)
                borrow(overrides)
                render_now(self.scene, path)
            yield
            return
        yield from free_moment(self._told)
        self._check()
        self.scene.render.filepath = compat.literal_path(str(path))
        hold = compat.loses_contexts()
        with _watching(self._copy, hold) as watch:
            if hold:  # see `_Watch.begun`
                _start(self.scene)
                self._running = True
                with watch.not_ended_too_soon():
                    yield
                    self._check()
            with Overrides() as overrides:
                self.always(overrides)
                borrow(overrides)
                if hold:
                    watch.go_on()
                else:
                    _start(self.scene)
                    self._running = True
                watch.await_copy()
            while not watch.over():
                if counts:
                    self._told(TAKING, watch.fraction)
                yield
                if self._stale:
                    raise Disturbed
            self._running = False
        if watch.displaced:
            raise Disturbed
        if watch.stopped or not path.is_file():
            raise _stopped()

    def _check(self) -> None:
        """Raises Disturbed: if the scene is not as it was when the stage was made."""
        stands = None if self._stale else self._source.find()
        if stands is None or _state(*stands) != self._seen:
            raise Disturbed

    def _leave(self) -> None:
        if self._running and bpy.app.is_job_running("RENDER"):
            if compat.loses_contexts():
                _end_render_later(self._copy)
            else:
                _end_render()
        temporary.give_back(self._kept)


def free_moment(told: Told) -> Steps[None]:
    """Give a turn away, and wait until Blender neither renders nor has something moved."""
    told(TAKING, 0.0)
    yield
    while reason := moments.capture_hindrance():
        told(reason, 0.0)
        yield
    told(TAKING, 0.0)


@contextlib.contextmanager
def stage(scene: Scene, view_layer: ViewLayer, told: Told) -> Iterator[Stage]:
    """A copy of the scene for a while. Undo, redo and another file end it: whoever uses it next gets Disturbed."""
    made = Stage(scene, view_layer, told)

    @persistent
    def stale(*_: object) -> None:
        made._stale = True

    handlers = bpy.app.handlers
    lists = [] if bpy.app.background else [handlers.undo_pre, handlers.redo_pre, handlers.load_pre]
    for each in lists:
        each.append(stale)
    try:
        yield made
    finally:
        for each in lists:
            each.remove(stale)
        made._leave()


def _state(scene: Scene, view_layer: ViewLayer) -> int:
    """What a picture depends on and artists change while they work; another number if it is different."""
    objects = ((each.session_uid, each.hide_render, *map(tuple, each.matrix_world)) for each in view_layer.objects)
    return hash((scene.frame_current, scene.frame_subframe, *objects))


def finished(steps: Steps[T]) -> T:
    """What the steps return, done at once: for background mode, where nobody handles events in between."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value


def untold(_: str, __: float) -> None:
    """Nobody is told what goes on."""


# a render in background mode


def render_now(scene: Scene, path: Path) -> None:
    """Render a scene's frame to a file, as it is set up to render. Blender is held meanwhile.

    Some builds of Blender have no denoiser while scenes ask for one by default; then the picture is made without it.
    Raises CaptureError: with Blender's own words if it fails or is stopped.
    """
    scene.render.filepath = compat.literal_path(str(path))
    try:
        try:
            bpy.ops.render.render("EXEC_DEFAULT", write_still=True, scene=scene.name)
        except RuntimeError as error:
            if "denois" not in str(error).lower() or not scene.cycles.use_denoising:
                raise
            with Overrides() as retry:
                retry.set(scene.cycles, "use_denoising", False)
                bpy.ops.render.render("EXEC_DEFAULT", write_still=True, scene=scene.name)
    except RuntimeError as error:
        raise _failed(error) from error
    if not path.is_file():
        raise _stopped()


def _failed(error: Exception) -> CaptureError:
    """Blender's own words."""
    words = " ".join(str(error).removeprefix("Error: ").split()).rstrip(".")
    return CaptureError(f"Blender could not render: {words}.", "Try a normal render (F12).")


def _stopped() -> CaptureError:
    message = "The render was stopped, or wrote no picture."
    return CaptureError(message, "Generate again and let the render finish; if it does, try a normal render (F12).")


# a render in a window


class _Watch:
    """What Blender tells of one render, from its threads.

    copied: Blender has its own copy of what it renders; ended: it is over, stopped: it was ended before its time;
    displaced: another render has taken its place, or it could not be held; fraction: of the samples.
    """

    def __init__(self, scene: int, hold: bool) -> None:
        self._scene = scene
        self.copied = self.ended = self.stopped = self.displaced = False
        self._goes_on = not hold
        self.fraction = 0.0
        self.evaluated = 0.0
        self._began = time.perf_counter()

    def frame_changed(self, scene: Scene, *_: object) -> None:
        if scene.session_uid == self._scene and not self.copied:
            self.evaluated = time.perf_counter() - self._began
            self.copied = True

    def begun(self, scene: Scene, *_: object) -> None:
        """Hold the render, in its thread, before it copies anything, where `compat.loses_contexts`.

        The main loop takes the context of the graphics card away from a render of a scene that no window shows, the
        next time round. If the render used it or ended at that moment, Blender would crash; one that is held does
        neither, and afterwards does without.
        """
        if scene.session_uid != self._scene or not _held(lambda: self._goes_on):
            self.displaced = True

    def go_on(self, *_: object) -> None:
        """Let go of the render: the main loop has been round since it was started, or waits for the render's end."""
        self._began = time.perf_counter()
        self._goes_on = True

    @contextlib.contextmanager
    def not_ended_too_soon(self) -> Iterator[None]:
        """If the picture is cancelled meanwhile, hold Blender until the render that is held has copied the scene: one
        that is ended before has Blender crash."""
        try:
            yield
        except BaseException:
            self.go_on()
            self.await_copy()
            raise

    def completed(self, scene: Scene, *_: object) -> None:
        self.ended |= scene.session_uid == self._scene

    def cancelled(self, scene: Scene, *_: object) -> None:
        if scene.session_uid == self._scene:
            self.ended = self.stopped = True

    def told(self, text: object, *_: object) -> None:
        if found := _COUNT.search(text if isinstance(text, str) else ""):
            done, count = map(int, found.groups())
            self.fraction = min(done / max(count, 1), 1.0)

    def over(self) -> bool:
        """Whether Blender has let go of it."""
        return (self.ended or self.displaced) and not bpy.app.is_job_running("RENDER")

    def await_copy(self) -> None:
        """Hold Blender until it has its own copy of what it renders; as long as evaluating the scene takes.

        Handlers of others may have it evaluate a second time, which nobody tells; so as long again is waited.
        """
        end = self._began + COPY_SECONDS
        while not (self.copied or self.ended) and time.perf_counter() < end and bpy.app.is_job_running("RENDER"):
            time.sleep(WAIT)
        time.sleep(WAIT + min(self.evaluated, COPY_SECONDS))


@contextlib.contextmanager
def _watching(scene: int, hold: bool = False) -> Iterator[_Watch]:
    """Listen to what Blender tells of the render of a scene. Another file does not end it."""
    watch, handlers = _Watch(scene, hold), bpy.app.handlers
    heard = [
        (handlers.frame_change_post, watch.frame_changed),
        (handlers.render_init, watch.begun),
        (handlers.render_complete, watch.completed),
        (handlers.render_cancel, watch.cancelled),
        (handlers.render_stats, watch.told),
        *((each, watch.go_on) for each in (handlers.undo_pre, handlers.redo_pre, handlers.load_pre)),
    ]
    listeners = [(where, _lasting(listener)) for where, listener in heard]
    for where, listener in listeners:
        where.append(listener)
    try:
        yield watch
    finally:
        watch.go_on()
        for where, listener in listeners:
            where.remove(listener)


def _held(released: Callable[[], bool]) -> bool:
    """Wait in a render's thread; whether it was released in time."""
    end = time.perf_counter() + HOLD_SECONDS
    while not released() and time.perf_counter() < end:
        time.sleep(WAIT)
    return released()


def _lasting(listener: Callable[..., None]) -> Callable[..., None]:
    @persistent
    def called(*arguments: object) -> None:
        listener(*arguments)

    return called


def _start(scene: Scene, keep: bool = True) -> None:
    """Begin a render as a job of the window, without showing it. Raises CaptureError."""
    preferences = bpy.context.preferences
    window = next(each for each in bpy.context.window_manager.windows if each.parent is None)
    with Overrides() as overrides:
        overrides.callback(setattr, preferences, "is_dirty", preferences.is_dirty)
        overrides.set(preferences.view, "render_display_type", "NONE")
        try:
            with bpy.context.temp_override(window=window):
                state = bpy.ops.render.render("INVOKE_DEFAULT", write_still=keep, scene=scene.name)
        except RuntimeError as error:
            raise _failed(error) from error
    if "RUNNING_MODAL" not in state:
        raise _stopped()


def _end_render() -> None:
    """End the render that runs. Blender does so when another one begins: one of a single pixel, of nothing."""
    scene = bpy.data.scenes.new("Set Dresser picture")
    camera = bpy.data.cameras.new("Set Dresser picture")
    eye = bpy.data.objects.new("Set Dresser picture", camera)
    kept = [temporary.keep(each) for each in (scene, eye, camera)]
    try:
        scene.camera = eye
        render = scene.render
        render.engine, render.resolution_x, render.resolution_y, render.resolution_percentage = "CYCLES", 4, 4, 100
        scene.cycles.device, scene.cycles.samples, scene.cycles.use_denoising = "CPU", 1, False
        render.use_compositing = render.use_sequencer = False
        if compat.loses_contexts():
            _hold_a_turn(kept[0])
        _start(scene, keep=False)
    finally:
        temporary.give_back(kept)


def _end_render_later(scene: int) -> None:
    """End the render of a scene if it still runs in a while: Blender 4.3 crashes if one is ended as it begins.

    It belongs to nobody, so that it is done also if the add-on is switched off meanwhile.
    """
    over, handlers = False, (bpy.app.handlers.render_complete, bpy.app.handlers.render_cancel)

    @persistent
    def ended(rendered: Scene, *_: object) -> None:
        nonlocal over
        over |= rendered.session_uid == scene

    def end() -> None:
        for each in handlers:
            each.remove(ended)
        if not over and bpy.app.is_job_running("RENDER"):
            _end_render()

    for each in handlers:
        each.append(ended)
    bpy.app.timers.register(end, first_interval=SETTLED_SECONDS, persistent=True)


def _hold_a_turn(scene: int) -> None:
    """Hold the next render, if it is of this scene, until the main loop has been round; see `_Watch.begun`."""
    came = False

    @persistent
    def begun(rendered: Scene, *_: object) -> None:
        if rendered.session_uid == scene:
            _held(lambda: came)

    def turned() -> None:
        nonlocal came
        came = True
        bpy.app.handlers.render_init.remove(begun)

    bpy.app.handlers.render_init.append(begun)
    bpy.app.timers.register(turned, first_interval=0.0, persistent=True)
