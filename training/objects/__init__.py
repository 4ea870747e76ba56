"""Collections of 3D models to learn from: models in a folder, with a list of what they are and whose."""
