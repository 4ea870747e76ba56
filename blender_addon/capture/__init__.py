"""From Blender to a shot: pictures, instance map, depth, camera, block-outs."""
