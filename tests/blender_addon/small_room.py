"""What the tests of the capture share: a small room, and how to read what was captured."""

from __future__ import annotations

import math

import bpy
import numpy as np
from mathutils import Vector


def add(kind, name, **options):
    getattr(bpy.ops.mesh, f"primitive_{kind}_add")(**options)
    made = bpy.context.object
    made.name = name
    return made


def empty(name, location=(0, 0, 0), collection=None):
    made = bpy.data.objects.new(name, None)
    made.location = location
    bpy.context.scene.collection.objects.link(made)
    if collection is not None:
        made.instance_type, made.instance_collection = "COLLECTION", collection
    return made


def make_room():
    """Cube, ball and cone as block-outs on a floor before a camera looking along +Y; returns the three."""
    bpy.data.objects.remove(bpy.data.objects["Cube"])
    add("plane", "Floor", size=40)
    cube = add("cube", "Box", size=1.4, location=(-1.6, 0, 0.7), rotation=(0, 0, 0.4))
    ball = add("uv_sphere", "Ball", radius=0.8, location=(0.4, 0.6, 0.8))
    cone = add("cone", "Cone", radius1=0.7, depth=1.8, location=(1.9, -0.4, 0.9))
    camera = bpy.context.scene.camera
    camera.location, camera.rotation_euler = (0, -8, 3), (math.radians(74), 0, 0)
    bpy.context.view_layer.update()
    return [cube, ball, cone]


FIRST, ROUND = 37.0, (0.0, 90.0, 180.0, -45.0)
"""Where the first of several cameras stands, and where all of them stand from there, in degrees round the object."""


def camera_at(name, angle, centre=(0, 0, 0), away=8.0):
    """A camera 2.5 m above the centre that looks at it from an angle."""
    made = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    bpy.context.scene.collection.objects.link(made)
    turned = math.radians(angle)
    made.location = Vector(centre) + Vector((away * math.cos(turned), away * math.sin(turned), 2.5))
    made.rotation_euler = (Vector(centre) - made.location).to_track_quat("-Z", "Y").to_euler()
    bpy.context.view_layer.update()
    return made


def make_shots():
    """Twelve block-outs in the collection Block-Out, in three rows on a floor, and five cameras: four round them, which
    see some before others, and one above."""
    for name in ("Cube", "Camera"):
        bpy.data.objects.remove(bpy.data.objects[name])
    add("plane", "Floor", size=40)
    kinds = (
        ("cube", {"size": 1.0}, 0.5),
        ("cone", {"radius1": 0.5, "depth": 1.3}, 0.65),
        ("uv_sphere", {"radius": 0.5}, 0.5),
    )
    names = ("Chest", "Tree", "Ball", "Crate", "Tent", "Globe", "Stool", "Cone", "Lamp", "Box", "Heap", "Pouf")
    collection = bpy.data.collections.new("Block-Out")
    bpy.context.scene.collection.children.link(collection)
    for number, name in enumerate(names):
        kind, options, middle = kinds[number % 3]
        made = add(kind, name, location=(2.2 * (number % 4) - 3.3, 2.4 * (number // 4) - 2.4, middle), **options)
        for other in made.users_collection:
            other.objects.unlink(made)
        collection.objects.link(made)
    for number, angle in enumerate((-90.0, -20.0, 60.0, 150.0), 1):
        camera_at(f"Camera {number}", angle, (0, 0, 0.5), 9.0)
    above = camera_at("Camera 5", -90.0, (0, 0, 0), 3.0)
    above.location.z = 12.0
    above.rotation_euler = (Vector((0, 0, 0)) - above.location).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.camera = bpy.data.objects["Camera 1"]
    bpy.context.view_layer.update()
    return list(collection.objects)


def read(path):
    """(H, W, 4) values 0..1 as Blender reads them from a file, upper row first."""
    image = bpy.data.images.load(str(path), check_existing=False)
    image.colorspace_settings.name = "Non-Color"
    pixels = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(pixels)
    pixels = pixels.reshape(image.size[1], image.size[0], 4)[::-1]
    bpy.data.images.remove(image)
    return pixels


def labels_of(shot):
    bits = shot.instances.read_bytes()[24]
    return np.rint(read(shot.instances)[..., 0] * (2**bits - 1)).astype(int)


def ray_cast(shot):
    """What a ray through the middle of each pixel meets first: name or "", and planar depth in metres."""
    scene, camera = bpy.context.scene, shot.camera
    pose = np.array(camera["world_from_camera"])
    metres = scene.unit_settings.scale_length
    origin = Vector(pose[:3, 3] / metres)
    names = np.full((camera["height"], camera["width"]), "", dtype=object)
    depth = np.full(names.shape, np.nan)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    for row, column in np.ndindex(names.shape):
        local = ((column + 0.5 - camera["cx"]) / camera["fx"], (camera["cy"] - row - 0.5) / camera["fy"], -1)
        ray = Vector(pose[:3, :3] @ local)
        hit, point, _, _, met, _ = scene.ray_cast(depsgraph, origin, ray)
        if hit:
            names[row, column] = met.name
            depth[row, column] = (point - origin).dot(Vector(-pose[:3, 2])) * metres
    return names, depth


def away_from_edges(names):
    """Pixels whose four neighbours meet the same thing; on an edge a ray may pass by in the last digit."""
    inner = np.zeros(names.shape, bool)
    middle = names[1:-1, 1:-1]
    inner[1:-1, 1:-1] = (
        (middle == names[:-2, 1:-1])
        & (middle == names[2:, 1:-1])
        & (middle == names[1:-1, :-2])
        & (middle == names[1:-1, 2:])
    )
    return inner


def hostile(scene, room):
    """Settings of scene, camera and objects that would spoil a naive capture."""
    context = bpy.context
    render, cycles = scene.render, scene.cycles
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x = 0.3, 0.6
    render.use_multiview = True
    render.use_motion_blur = True
    render.use_stamp = True
    render.use_freestyle = True
    render.use_persistent_data = True
    render.dither_intensity = 2.0
    render.film_transparent = False
    scene.camera.data.dof.use_dof = True
    scene.camera.data.dof.aperture_fstop = 0.05
    scene.camera.data.dof.focus_distance = 2
    cycles.sample_clamp_direct, cycles.film_exposure, cycles.filter_width = 0.5, 4.0, 6.0
    cycles.time_limit, cycles.sample_offset, cycles.pixel_filter_type = 0.001, 7, "GAUSSIAN"
    cycles.use_layer_samples = "USE"
    context.view_layer.samples = 3
    context.view_layer.material_override = bpy.data.materials.new("Override")
    other = scene.view_layers.new("Other")
    other.layer_collection.exclude = True
    scene.view_settings.exposure = -1.0
    scene.world.node_tree.nodes.new("ShaderNodeVolumeScatter")
    fog = next(node for node in scene.world.node_tree.nodes if node.type == "VOLUME_SCATTER")
    out = next(node for node in scene.world.node_tree.nodes if node.type == "OUTPUT_WORLD")
    scene.world.node_tree.links.new(fog.outputs[0], out.inputs["Volume"])
    bpy.ops.object.light_add(type="AREA", location=(0, -4, 1.8), rotation=(math.radians(-90), 0, 0))
    context.object.visible_camera = True
    context.object.data.size = 1.5
    bpy.data.objects["Floor"].is_shadow_catcher = True
    bpy.data.objects["Floor"].pass_index = 2
    room[0].pass_index = 99
    scene.sequence_editor_create()
    editor = scene.sequence_editor
    strips = editor.strips if hasattr(editor, "strips") else editor.sequences
    ends = {"length": 10} if "length" in strips.bl_rna.functions["new_effect"].parameters else {"frame_end": 10}
    strips.new_effect(name="Red", type="COLOR", channel=1, frame_start=1, **ends)
