"""Zero123++ v1.2: one photo of an object → six views of it from around, on one sheet.

Shi et al., "Zero123++: a Single Image to Consistent Multi-view Diffusion Base Model" (arXiv 2310.15110), with the UNet
that InstantMesh (arXiv 2404.07191) tuned for white backgrounds. Published checkpoints load unchanged.

`pipeline.py` is the way in; the other modules are its parts. Importing this package imports nothing heavy.
"""
