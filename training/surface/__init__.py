"""Learning what the true surface is inside of a visual hull: see `models/multiview/prior.py`."""
