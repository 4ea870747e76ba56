"""Training runs: the loop of `models/optimisation` with a folder of its own, alone or in several processes.

Imports `models` and nothing else of the project, and nobody imports it.
"""
