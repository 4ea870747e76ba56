"""What runs inside Blender: a model file becomes a scene of its own, and pictures of it. Blender's modules, numpy and
the standard library alone; the rest of `training` talks to it over a pipe (`training/render/blender.py`).
"""
