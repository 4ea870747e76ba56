"""Something is made better step by step: one object in a job, or a network in a training run, by the same loop.

`loop.py` is the loop; `hooks.py` is all that it knows of the outside; `chance.py` is where its random numbers come
from, `state.py` how it is kept in files and goes on; `processes.py` lets several processes share the work.
"""
