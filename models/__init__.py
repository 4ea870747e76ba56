"""Networks and samplers in pure torch: no server, no Blender, no files but checkpoints."""
