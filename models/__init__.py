"""Networks and samplers in pure torch: no server, no Blender, no files but checkpoints.

Empty until the first learned pipeline moves in; the embedded pipeline `inflate` needs no network.
"""
