"""Surfaces, textures, silhouettes, glTF."""
