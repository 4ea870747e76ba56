"""The add-on's preferences: where the backend is, which Python runs it, and where jobs are kept."""

from __future__ import annotations

import bpy

from ..backend_process import setting_up, tokens
from ..backend_process.installation import build_items
from ..ground import tick
from ..ground.messages import SetDresserError
from ..ground.package import NAME
from ..state import desk
from ..state.storage import GIGABYTE
from ..wire.address import parse
from ..work.keeping import WISHED
from .panels.installation import draw_installation
from .panels.server import draw_server
from .panels.studio import draw_studio

MASK = "●" * 12
"""What the field of the token shows where there is one."""


def _changed(self: SetDresserPreferences, context: bpy.types.Context) -> None:
    desk.current.set_up_stale = True
    tick.wake()


def _limit_changed(self: SetDresserPreferences, context: bpy.types.Context) -> None:
    desk.current.limit_wished = True
    tick.wake()


def _shown_token(self: SetDresserPreferences) -> str:
    """The token itself is not shown to anybody, scripts included."""
    return MASK if desk.current.trusted else ""


def _set_token(self: SetDresserPreferences, value: str) -> None:
    if value == MASK:  # the field was left as it was
        return
    try:
        tokens.keep(parse(self.server_address), value)
        desk.current.settle()
    except SetDresserError as error:
        desk.current.report(error)
    desk.current.set_up_stale = True
    tick.wake()


class SetDresserPreferences(bpy.types.AddonPreferences):
    bl_idname = NAME

    backend: bpy.props.EnumProperty(
        name="Backend",
        description="What makes the props",
        items=(
            (setting_up.THIS_COMPUTER, "This Computer", "A backend that is installed and started here"),
            (setting_up.SERVER, "A Server", "The server of a studio: nothing is installed or started here"),
        ),
        update=_changed,
    )
    server_address: bpy.props.StringProperty(
        name="Address",
        description="Name and port of the server, as farm.studio.lan:8443",
        update=_changed,
    )
    server_token: bpy.props.StringProperty(
        name="Token",
        description="Who you are to this server; whoever runs it gives it to you. It is kept in a file of its own, "
        "closed to others, and neither in Blender's preferences nor in any .blend",
        subtype="PASSWORD",
        get=_shown_token,
        set=_set_token,
    )
    server_certificate: bpy.props.StringProperty(
        name="Certificate",
        description="The file with the certificate of the studio's own authority (.pem), if it has one. Otherwise "
        "those authorities count that the system believes",
        subtype="FILE_PATH",
        update=_changed,
    )
    python_path: bpy.props.StringProperty(
        name="Backend Python",
        description="The python program of the environment that the backend's requirements are installed in",
        subtype="FILE_PATH",
        update=_changed,
    )
    data_folder: bpy.props.StringProperty(
        name="Data Folder",
        description="Where jobs and their results are kept; the add-on's own folder if left empty",
        subtype="DIR_PATH",
        update=_changed,
    )
    models_folder: bpy.props.StringProperty(
        name="Models Folder",
        description="Where models are kept and looked for; in the data folder if left empty. Several computers may "
        "share one",
        subtype="DIR_PATH",
        update=_changed,
    )
    idle_minutes: bpy.props.IntProperty(
        name="Free Memory After (min)",
        description="Minutes without a job until the backend gives its memory back, the graphics card's too",
        min=1,
        max=24 * 60,
        soft_max=60,
        default=5,
        update=_changed,
    )
    keep_gigabytes: bpy.props.FloatProperty(
        name="Keep at Most (GB)",
        description="When finished jobs hold more of the disk, the oldest are removed with their files; before a new "
        "limit removes any it says how many. Props that were imported stay; jobs that run, and results of the last "
        "week that were never fetched, too. 0 for no limit",
        default=20.0,
        min=0.0,
        soft_max=1000.0,
        precision=1,
        update=_limit_changed,
    )
    agreed_gigabytes: bpy.props.FloatProperty(
        name="Agreed Limit (GB)", description="The limit that the backend acts on", default=20.0, options={"HIDDEN"}
    )
    torch_build: bpy.props.EnumProperty(
        name="PyTorch",
        description="What is installed for the learned pipelines",
        items=build_items(),
        update=_changed,
    )
    offline_folder: bpy.props.StringProperty(
        name="Offline Folder",
        description="Install from the packages in this folder, made by build_addon.py --offline, without the network",
        subtype="DIR_PATH",
        update=_changed,
    )

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.use_property_split = True
        self.layout.row().prop(self, "backend", expand=True)
        if self.backend == setting_up.SERVER:
            draw_studio(self.layout, context, self)
        else:
            self._draw_this_computer(context)
        self.layout.operator("set_dresser.support_bundle", icon="PACKAGE")

    def _draw_this_computer(self, context: bpy.types.Context) -> None:
        self.layout.prop(self, "python_path")
        self.layout.prop(self, "data_folder")
        self.layout.prop(self, "models_folder")
        self.layout.prop(self, "idle_minutes")
        _draw_limit(self.layout.column(), self)
        self.layout.prop(self, "offline_folder")
        draw_installation(self.layout, context, everything=True)
        draw_server(self.layout, context)


def _draw_limit(layout: bpy.types.UILayout, chosen: SetDresserPreferences) -> None:
    """The preference; below it what it would remove, with the two answers."""
    layout.prop(chosen, WISHED)
    over = desk.current.surplus
    if over is None:
        return
    box = layout.box()
    jobs = "1 job" if over.jobs == 1 else f"{over.jobs} jobs"
    box.label(
        text=f"To hold {over.limit:.1f} GB, {jobs} with {over.bytes / GIGABYTE:.2f} GB would be removed", icon="ERROR"
    )
    row = box.row(align=True)
    row.operator("set_dresser.agree_to_limit", icon="TRASH")
    row.operator("set_dresser.take_back_limit", icon="LOOP_BACK")
