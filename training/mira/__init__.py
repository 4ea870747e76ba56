"""Training of single-view reconstruction models, MIRA's and OpenLRM's: `python -m training.mira --config FILE`.

`config.py` is what can be set; `bank.py` keeps the views of all objects in memory-mapped files; `frames.py` and
`items.py` make of one view of one object what a step needs; `feed.py` has it ready in time; `objective.py` gives the
losses; `validation.py` judges on objects that are held out; `starting.py` is what a network begins with; `run.py` joins
them. The loop itself is that of `models/optimisation`.
"""
