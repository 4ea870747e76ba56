"""What is known while this Blender runs, as data. Nothing here does anything."""
