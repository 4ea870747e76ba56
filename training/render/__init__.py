"""Pictures of 3D models from many sides, with Blender: what reconstruction networks learn from."""
