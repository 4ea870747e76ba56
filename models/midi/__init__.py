"""MIDI: every object of one picture as a latent of its own, all in one common frame.

Huang et al., "MIDI: Multi-Instance Diffusion for Single Image to 3D Scene Generation" (arXiv 2412.03558), on top of
TripoSG (arXiv 2502.06608). Parameter names and shapes are those of the published checkpoint: it loads unchanged.

`pipeline.py` is the way in; the other modules are its parts. Importing this package imports nothing heavy.
"""
