"""A room corner blocked out with simple shapes, as a set dresser would: composed, painted, lit, seen by a camera."""

from __future__ import annotations

import math
import random

import bpy
from bpy.types import Material, Object
from mathutils import Matrix, Vector

from demo.materials import checker, dots, paint, stripes, wood

Triple = tuple[float, float, float]

PICTURE = (960, 640)
SAMPLES = 8
FROM_THE_CAMERA: tuple[Triple, Triple] = ((2.95, -5.1, 1.95), (-0.12, 0.5, 0.82))
FROM_THE_SIDE: tuple[Triple, Triple] = ((-2.15, -5.6, 2.0), (0.25, 0.5, 0.75))


class Piece:
    """One block-out: shapes parented to the first of them, standing on the floor at `place`, turned about Z.

    Shapes are given in the piece's own axes, metres: x to its right, -y its front, z up, (0, 0, 0) on the floor.
    """

    def __init__(self, name: str, place: Triple, turn: float = 0.0) -> None:
        self.name = name
        self.place = Vector(place)
        self.turn = math.radians(turn)
        self.root: Object | None = None

    def box(self, material: Material, size: Triple, at: Triple, bevel: float = 0.03) -> Object:
        bpy.ops.mesh.primitive_cube_add(size=1)
        part = bpy.context.object
        part.scale = size
        bpy.ops.object.transform_apply(location=False, rotation=False, scale=True)
        modifier = part.modifiers.new("Bevel", "BEVEL")
        modifier.width, modifier.segments = min(bevel, min(size) / 3), 3
        return self._add(part, material, at)

    def cylinder(
        self, material: Material, radius: float, height: float, at: Triple, top: float | None = None
    ) -> Object:
        bpy.ops.mesh.primitive_cone_add(
            vertices=48, radius1=radius, radius2=radius if top is None else top, depth=height
        )
        return self._add(bpy.context.object, material, at)

    def ball(self, material: Material, size: Triple, at: Triple, tilt: Triple = (0, 0, 0)) -> Object:
        bpy.ops.mesh.primitive_uv_sphere_add(segments=32, ring_count=20, radius=0.5)
        part = bpy.context.object
        part.scale = size
        part.rotation_euler = tuple(math.radians(angle) for angle in tilt)
        bpy.ops.object.transform_apply(location=False, rotation=True, scale=True)
        return self._add(part, material, at)

    def _add(self, part: Object, material: Material, at: Triple) -> Object:
        part.data.materials.append(material)
        part.data.shade_smooth()
        part.data.set_sharp_from_angle(angle=math.radians(40))
        part.location = self.place + Matrix.Rotation(self.turn, 3, "Z") @ Vector(at)
        part.rotation_euler.z = self.turn
        if self.root is None:
            part.name = part.data.name = self.name
            self.root = part
        else:
            part.name = part.data.name = f"{self.name} part"
            bpy.context.view_layer.update()
            part.parent = self.root
            part.matrix_parent_inverse = self.root.matrix_world.inverted()
        return part


def build() -> list[Object]:
    """Replace the file by the room; the block-outs, ready for `api.generate`."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    _room()
    pieces = _pieces()
    _light(scene)
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.data.lens = 38
    look_from(camera, *FROM_THE_CAMERA)
    render = scene.render
    render.engine = "CYCLES"
    render.resolution_x, render.resolution_y = PICTURE
    render.image_settings.file_format = "PNG"
    scene.cycles.samples = SAMPLES
    scene.cycles.max_bounces = 3
    scene.cycles.denoising_prefilter = "NONE"
    scene.cycles.denoising_quality = "BALANCED"
    scene.view_settings.view_transform = "Standard"
    bpy.context.view_layer.update()
    return pieces


def look_from(camera: Object, position: Triple, target: Triple) -> None:
    camera.location = position
    camera.rotation_euler = (Vector(target) - Vector(position)).to_track_quat("-Z", "Y").to_euler()


def _room() -> None:
    room = bpy.data.collections.new("Room")
    floor = wood("Floorboards", (0.50, 0.33, 0.20), (0.40, 0.25, 0.14), scale=2.2, rings=5.0)
    wall = paint("Wall", (0.62, 0.70, 0.66), mottled=0.05)
    side = paint("Side wall", (0.78, 0.66, 0.52), mottled=0.05)
    rug = stripes("Rug", (0.72, 0.20, 0.14), (0.90, 0.82, 0.66), scale=2.4)
    for name, size, at, material in (
        ("Floor", (11, 9, 0.1), (2.0, -2.1, -0.05), floor),
        ("Back wall", (11, 0.1, 3.4), (2.0, 2.3, 1.7), wall),
        ("Left wall", (0.1, 9, 3.4), (-2.6, -2.1, 1.7), side),
        ("Skirting back", (11, 0.03, 0.12), (2.0, 2.24, 0.06), paint("Skirting", (0.9, 0.88, 0.84))),
        ("Rug", (2.7, 1.9, 0.012), (0.15, -0.35, 0.006), rug),
    ):
        bpy.ops.mesh.primitive_cube_add(size=1, location=at)
        part = bpy.context.object
        part.scale = size
        part.name = part.data.name = name
        part.data.materials.append(material)
        part.users_collection[0].objects.unlink(part)
        room.objects.link(part)
    bpy.context.scene.collection.children.link(room)


def _pieces() -> list[Object]:
    block_outs = bpy.data.collections.new("Block-out")
    bpy.context.scene.collection.children.link(block_outs)
    layer = bpy.context.view_layer.layer_collection.children["Block-out"]
    bpy.context.view_layer.active_layer_collection = layer
    makers = (_sofa, _armchair, _table, _vase, _lamp, _plant, _bookshelf, _stool, _picture, _ball)
    pieces = [piece.root for piece in (make() for make in makers) if piece.root is not None]
    bpy.context.view_layer.active_layer_collection = bpy.context.view_layer.layer_collection
    return pieces


def _sofa() -> Piece:
    sofa = Piece("Sofa", (-0.42, 1.62, 0))
    cloth = stripes("Sofa cloth", (0.08, 0.22, 0.38), (0.12, 0.31, 0.48), scale=7)
    cushion = checker("Cushion", (0.95, 0.72, 0.18), (0.90, 0.86, 0.74), scale=9)
    sofa.box(cloth, (1.75, 0.80, 0.42), (0, 0, 0.25), 0.06)
    sofa.box(cloth, (1.75, 0.24, 0.50), (0, 0.30, 0.62), 0.08)
    for side in (-1, 1):
        sofa.box(cloth, (0.24, 0.82, 0.60), (side * 0.87, 0, 0.34), 0.08)
    sofa.box(cushion, (0.42, 0.16, 0.40), (-0.45, 0.08, 0.64), 0.07)
    sofa.box(cushion, (0.42, 0.16, 0.40), (0.46, 0.08, 0.64), 0.07)
    return sofa


def _armchair() -> Piece:
    chair = Piece("Armchair", (2.02, 0.42, 0), -50)
    cloth = checker("Armchair cloth", (0.80, 0.34, 0.12), (0.86, 0.42, 0.18), scale=14)
    leg = wood("Chair legs", (0.36, 0.20, 0.10), (0.28, 0.14, 0.07), scale=6)
    chair.box(cloth, (0.72, 0.72, 0.26), (0, 0, 0.33), 0.06)
    chair.box(cloth, (0.72, 0.18, 0.56), (0, 0.28, 0.64), 0.08)
    for side in (-1, 1):
        chair.box(cloth, (0.15, 0.70, 0.38), (side * 0.36, -0.02, 0.46), 0.06)
        for end in (-0.28, 0.28):
            chair.cylinder(leg, 0.028, 0.22, (side * 0.30, end, 0.11), 0.036)
    return chair


def _table() -> Piece:
    table = Piece("Coffee table", (0.0, -0.25, 0), 4)
    oak = wood("Oak", (0.66, 0.42, 0.20), (0.50, 0.29, 0.12), scale=4.5, rings=6)
    table.box(oak, (1.00, 0.58, 0.07), (0, 0, 0.40), 0.02)
    for x in (-0.43, 0.43):
        for y in (-0.23, 0.23):
            table.box(oak, (0.065, 0.065, 0.38), (x, y, 0.19), 0.01)
    return table


def _vase() -> Piece:
    vase = Piece("Vase", (-0.16, -0.22, 0.435))
    glaze = checker("Glaze", (0.10, 0.36, 0.52), (0.88, 0.90, 0.86), scale=11)
    vase.ball(glaze, (0.24, 0.24, 0.26), (0, 0, 0.13))
    vase.cylinder(glaze, 0.055, 0.16, (0, 0, 0.30), 0.075)
    return vase


def _lamp() -> Piece:
    lamp = Piece("Floor lamp", (-2.02, 1.62, 0))
    brass = paint("Brass", (0.62, 0.44, 0.14))
    shade = stripes("Lampshade", (0.96, 0.88, 0.68), (0.92, 0.74, 0.44), scale=9)
    lamp.cylinder(brass, 0.17, 0.04, (0, 0, 0.02), 0.15)
    lamp.cylinder(brass, 0.020, 1.45, (0, 0, 0.76))
    lamp.cylinder(shade, 0.27, 0.36, (0, 0, 1.60), 0.17)
    return lamp


def _plant() -> Piece:
    plant = Piece("Plant", (-2.0, 0.25, 0))
    clay = stripes("Clay", (0.66, 0.28, 0.16), (0.74, 0.36, 0.22), scale=12)
    leaf = paint("Leaves", (0.10, 0.34, 0.10), mottled=0.5)
    plant.cylinder(clay, 0.17, 0.36, (0, 0, 0.18), 0.23)
    dice = random.Random(7)
    for number in range(11):
        angle = number * 137.5
        lean = 18 + 44 * (number / 10)
        long = 0.62 - 0.018 * number + dice.uniform(-0.04, 0.04)
        reach = math.radians(lean)
        away, up = math.sin(reach) * long * 0.5, math.cos(reach) * long * 0.5
        turn = math.radians(angle)
        at = (math.cos(turn) * away, math.sin(turn) * away, 0.36 + up)
        plant.ball(leaf, (0.15, 0.05, long), at, (0, lean, angle))
    return plant


def _bookshelf() -> Piece:
    shelf = Piece("Bookshelf", (1.36, 2.02, 0))
    pine = wood("Pine", (0.80, 0.60, 0.36), (0.70, 0.48, 0.26), scale=4)
    wide, deep, tall = 0.95, 0.32, 1.75
    shelf.box(pine, (wide, 0.03, tall), (0, deep / 2 - 0.02, tall / 2), 0.005)
    for side in (-1, 1):
        shelf.box(pine, (0.05, deep, tall), (side * (wide - 0.05) / 2, 0, tall / 2), 0.01)
    heights = [0.04, 0.46, 0.88, 1.30, tall - 0.025]
    for z in heights:
        shelf.box(pine, (wide - 0.06, deep - 0.01, 0.045), (0, 0, z), 0.01)
    colors = [
        paint(f"Book {number}", color)
        for number, color in enumerate(
            [(0.62, 0.12, 0.10), (0.12, 0.30, 0.46), (0.86, 0.66, 0.16), (0.16, 0.38, 0.24), (0.90, 0.86, 0.78)]
        )
    ]
    dice = random.Random(3)
    for bottom in heights[:-1]:
        x = -wide / 2 + 0.06
        while x < wide / 2 - 0.10:
            thick, high = dice.uniform(0.035, 0.075), dice.uniform(0.25, 0.34)
            at = (x + thick / 2, -0.02, bottom + 0.022 + high / 2)
            if dice.random() < 0.9:
                shelf.box(dice.choice(colors), (thick - 0.006, 0.22, high), at, 0.008)
            x += thick
    return shelf


def _stool() -> Piece:
    stool = Piece("Stool", (1.12, -1.12, 0), 20)
    seat = checker("Stool seat", (0.72, 0.10, 0.16), (0.93, 0.89, 0.80), scale=8)
    leg = wood("Stool legs", (0.72, 0.52, 0.30), (0.60, 0.40, 0.20), scale=6)
    stool.cylinder(seat, 0.21, 0.09, (0, 0, 0.43))
    for corner in range(4):
        angle = math.radians(45 + 90 * corner)
        stool.cylinder(leg, 0.030, 0.40, (0.15 * math.cos(angle), 0.15 * math.sin(angle), 0.20), 0.025)
    return stool


def _picture() -> Piece:
    picture = Piece("Picture", (-0.45, 2.20, 1.42))
    frame = wood("Frame", (0.30, 0.16, 0.08), (0.22, 0.11, 0.05), scale=7)
    painting = dots("Painting", (0.88, 0.80, 0.62), (0.80, 0.26, 0.14), (0.10, 0.32, 0.46))
    picture.box(frame, (0.92, 0.07, 0.66), (0, 0, 0.33), 0.015)
    picture.box(painting, (0.78, 0.02, 0.52), (0, -0.035, 0.33), 0.003)
    return picture


def _ball() -> Piece:
    ball = Piece("Ball", (-1.05, -0.95, 0))
    skin = stripes("Beach ball", (0.92, 0.90, 0.84), (0.16, 0.46, 0.62), scale=2.2)
    ball.ball(skin, (0.34, 0.34, 0.34), (0, 0, 0.17))
    return ball


def _light(scene: bpy.types.Scene) -> None:
    world = bpy.data.worlds.new("Sky")
    if world.node_tree is None:
        world.use_nodes = True
    background = world.node_tree.nodes["Background"]
    background.inputs["Color"].default_value = (0.80, 0.88, 1.0, 1.0)
    background.inputs["Strength"].default_value = 0.34
    scene.world = world
    for name, at, target, size, power, color in (
        ("Window", (3.2, -3.2, 3.6), (-0.4, 0.8, 0.4), 1.3, 300, (1.0, 0.90, 0.76)),
        ("Fill", (-1.8, -3.8, 2.8), (0.2, 0.8, 0.6), 3.0, 42, (0.84, 0.92, 1.0)),
    ):
        data = bpy.data.lights.new(name, "AREA")
        data.size, data.energy, data.color = size, power, color
        lamp = bpy.data.objects.new(name, data)
        scene.collection.objects.link(lamp)
        look_from(lamp, at, target)
