"""Inside the Blender under test: a small set, blocked out as an artist would, before a camera; replaces the file's
objects. `pieces()` are the block-outs."""

from __future__ import annotations

import math

import bpy
from mathutils import Matrix, Vector

NAMES = ("Sofa", "Table", "Lamp")


def build() -> None:
    for each in list(bpy.data.objects):
        bpy.data.objects.remove(each)
    _join("Floor", [_box((7, 5, 0.02), (0, 0, -0.01))], (0.55, 0.42, 0.30))
    _join("Wall", [_box((7, 0.05, 2.8), (0, 2.5, 1.4))], (0.62, 0.68, 0.66))
    sofa = [_box((2.1, 0.9, 0.42), (0, 0, 0.21)), _box((2.1, 0.25, 0.85), (0, 0.34, 0.43))]
    sofa += [_box((0.25, 0.9, 0.62), (side * 0.95, 0, 0.31)) for side in (-1, 1)]
    _join("Sofa", sofa, (0.16, 0.34, 0.48), (-0.9, 1.2, 0), 8)
    table = [_box((1.0, 0.6, 0.07), (0, 0, 0.45))]
    table += [_box((0.08, 0.08, 0.42), (x * 0.44, y * 0.24, 0.21)) for x in (-1, 1) for y in (-1, 1)]
    _join("Table", table, (0.50, 0.26, 0.12), (0.5, -0.6, 0), -10)
    lamp = [_cone(0.22, 0.22, 0.05, 0.025), _cone(0.035, 0.035, 1.3, 0.65), _cone(0.34, 0.2, 0.42, 1.45)]
    _join("Lamp", lamp, (0.86, 0.70, 0.32), (1.6, 1.2, 0))
    _light_and_camera()
    for each in pieces():
        each.select_set(True)
    bpy.context.view_layer.objects.active = bpy.data.objects["Sofa"]


def pieces() -> list[bpy.types.Object]:
    return [bpy.data.objects[name] for name in NAMES]


def furnish() -> None:
    """The room with twelve block-outs, in the collection Block-Out, and five cameras: all round, and one high up."""
    build()
    bpy.data.objects.remove(bpy.data.objects["Camera"])
    stool = [_cone(0.2, 0.2, 0.06, 0.47), *(_box((0.05, 0.05, 0.45), (x, y, 0.22)) for x in _SIDES for y in _SIDES)]
    _join("Stool", stool, (0.72, 0.52, 0.30), (-0.9, -1.3, 0), 20)
    shelf = [_box((0.9, 0.3, 0.04), (0, 0, z)) for z in (0.05, 0.55, 1.05, 1.55)]
    shelf += [_box((0.04, 0.3, 1.6), (x, 0, 0.8)) for x in (-0.45, 0.45)]
    _join("Shelf", [*shelf, _box((0.9, 0.02, 1.6), (0, 0.14, 0.8))], (0.35, 0.20, 0.10), (2.7, 2.1, 0))
    _join(
        "Chest",
        [_box((0.9, 0.5, 0.45), (0, 0, 0.225)), _box((0.94, 0.54, 0.08), (0, 0, 0.49))],
        (0.42, 0.12, 0.10),
        (-2.6, -0.4, 0),
        75,
    )
    plant = [_cone(0.16, 0.22, 0.35, 0.175), _ball(0.38, 0.72), _ball(0.27, 1.1)]
    _join("Plant", plant, (0.13, 0.36, 0.14), (-2.7, 1.8, 0))
    _join("Barrel", [_cone(0.28, 0.36, 0.42, 0.21), _cone(0.36, 0.28, 0.42, 0.63)], (0.38, 0.24, 0.13), (2.6, -0.9, 0))
    _join("Crate", [_box((0.6, 0.6, 0.6), (0, 0, 0.3))], (0.70, 0.55, 0.30), (1.7, -1.9, 0), 25)
    chair = [_box((0.75, 0.75, 0.4), (0, 0, 0.2)), _box((0.75, 0.2, 0.85), (0, 0.28, 0.425))]
    chair += [_box((0.16, 0.75, 0.58), (side * 0.3, 0, 0.29)) for side in (-1, 1)]
    _join("Armchair", chair, (0.50, 0.16, 0.20), (-2.3, -1.9, 0), 125)
    _join("Vase", [_cone(0.07, 0.13, 0.16, 0.6), _cone(0.13, 0.05, 0.18, 0.77)], (0.80, 0.82, 0.85), (0.6, -0.6, -0.03))
    _join("Globe", [_cone(0.18, 0.06, 0.12, 0.06), _ball(0.3, 0.4)], (0.20, 0.45, 0.60), (0.2, -2.1, 0))
    collection = bpy.data.collections.new("Block-Out")
    bpy.context.scene.collection.children.link(collection)
    for each in (bpy.data.objects[name] for name in TWELVE):
        for former in each.users_collection:
            former.objects.unlink(each)
        collection.objects.link(each)
        each.select_set(True)
    for number, place in enumerate(_CAMERAS, 1):
        camera = bpy.data.objects.new(f"Camera {number}", bpy.data.cameras.new(f"Camera {number}"))
        camera.data.lens = 32
        camera.location = place
        camera.rotation_euler = (Vector((0, 0, 0.4)) - camera.location).to_track_quat("-Z", "Y").to_euler()
        bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = bpy.data.objects["Camera 1"]


TWELVE = (*NAMES, "Stool", "Shelf", "Chest", "Plant", "Barrel", "Crate", "Armchair", "Vase", "Globe")
_SIDES = (-0.14, 0.14)
_CAMERAS = ((0.4, -6.2, 2.0), (-5.6, -3.0, 1.8), (5.6, -3.4, 2.2), (-2.2, -6.0, 3.2), (1.5, -3.0, 6.0))


def photograph() -> None:
    """Two more cameras round the table, and EEVEE with few pixels; table and cameras are selected, the table active."""
    scene, table = bpy.context.scene, bpy.data.objects["Table"]
    for angle in (90, 180):
        camera = scene.camera.copy()
        turn = Matrix.Rotation(math.radians(angle), 4, "Z")
        camera.matrix_world = (
            Matrix.Translation(table.location)
            @ turn
            @ Matrix.Translation(-table.location)
            @ (scene.camera.matrix_world)
        )
        scene.collection.objects.link(camera)
    for each in bpy.context.view_layer.objects:
        each.select_set(each == table or each.type == "CAMERA")
    bpy.context.view_layer.objects.active = table
    names = {item.identifier for item in bpy.types.RenderSettings.bl_rna.properties["engine"].enum_items}
    scene.render.engine = "BLENDER_EEVEE_NEXT" if "BLENDER_EEVEE_NEXT" in names else "BLENDER_EEVEE"
    scene.render.resolution_percentage = 25


def look(area: bpy.types.Area) -> None:
    """Through the camera, in colours, without what an artist would not look at."""
    space = area.spaces.active
    space.region_3d.view_perspective = "CAMERA"
    space.region_3d.view_camera_zoom = 12
    space.shading.type, space.shading.color_type, space.shading.light = "SOLID", "TEXTURE", "STUDIO"
    area.tag_redraw()


def _light_and_camera() -> None:
    scene = bpy.context.scene
    light = bpy.data.objects.new("Light", bpy.data.lights.new("Light", "AREA"))
    light.data.energy, light.data.size = 350, 3
    light.location = (1, -3, 4)
    light.rotation_euler = (Vector((0, 0.6, 0.5)) - light.location).to_track_quat("-Z", "Y").to_euler()
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location = (0.4, -6.2, 2.0)
    camera.rotation_euler = (Vector((0.1, 0.6, 0.7)) - camera.location).to_track_quat("-Z", "Y").to_euler()
    for each in (light, camera):
        scene.collection.objects.link(each)
    scene.camera = camera
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 24
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 640, 400, 100


def _box(size: tuple[float, float, float], place: tuple[float, float, float]) -> bpy.types.Object:
    bpy.ops.mesh.primitive_cube_add(size=1, location=place)
    bpy.context.object.scale = size
    return bpy.context.object


def _ball(radius: float, middle: float) -> bpy.types.Object:
    bpy.ops.mesh.primitive_uv_sphere_add(segments=32, ring_count=16, radius=radius, location=(0, 0, middle))
    return bpy.context.object


def _cone(below: float, above: float, height: float, middle: float) -> bpy.types.Object:
    bpy.ops.mesh.primitive_cone_add(vertices=32, radius1=below, radius2=above, depth=height, location=(0, 0, middle))
    return bpy.context.object


def _join(
    name: str,
    parts: list[bpy.types.Object],
    color: tuple[float, float, float],
    place: tuple[float, float, float] = (0, 0, 0),
    degrees: float = 0,
) -> None:
    """One object of some, in one colour, its origin on the floor."""
    bpy.ops.object.select_all(action="DESELECT")
    for part in parts:
        part.select_set(True)
    bpy.context.view_layer.objects.active = parts[0]
    if len(parts) > 1:
        bpy.ops.object.join()
    made = bpy.context.object
    bpy.ops.object.transform_apply(location=True, rotation=True, scale=True)
    made.name = made.data.name = name
    made.location, made.rotation_euler.z = place, math.radians(degrees)
    material = bpy.data.materials.new(name)
    if not material.use_nodes:
        material.use_nodes = True
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (*color, 1)
    material.diffuse_color = (*color, 1)
    made.data.materials.append(material)
    made.select_set(False)
