"""Magic123: one object optimised from one picture, with a 2D and a 3D prior (Qian et al. 2023, arXiv:2306.17843).

`coarse.py` is the first stage, a radiance field; what it is made of stands in `docs/magic123.md`.
"""
