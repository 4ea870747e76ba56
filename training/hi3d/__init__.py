"""Hi3D's two stages, trained: `python -m training.hi3d --config FILE`; docs/training.md.

Yang et al. (arXiv 2409.07452): both are Stable Video Diffusion, fine-tuned on orbits round rendered objects; the second
one restores what was made worse as Real-ESRGAN makes it worse (Wang et al., arXiv 2107.10833). What comes out is a file
of the published layout.
"""
