"""Fields of density in a box, and pictures of them: what an optimisation of a radiance field is made of.

`hash_grid.py` turns points into features that are learned; `occupancy.py` remembers where something is, `marching.py`
places samples along rays there and nowhere else, and never more of them than a cap; `compositing.py` makes pictures
of what the samples hold. None of them knows whose field it is.
"""
