"""What is near and far in a picture: MiDaS 3.1, DPT with BEiT-L at 512, in the form of transformers.

Ranftl et al., "Vision Transformers for Dense Prediction", arXiv 2103.13413; Birkl et al., "MiDaS v3.1",
arXiv 2307.14460.
"""
