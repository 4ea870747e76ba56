"""What diffusion models say of a picture: priors that an optimisation is drawn by.

`prior.py` says what a prior is: it takes rendered pictures and gives the gradient by which they would become likelier.
"""
