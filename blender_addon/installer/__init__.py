"""The program that makes the backend's own Python environment. It runs in a process of its own, never in Blender.

    python -I -S -B blender_addon/installer < request.json

Its standard input is the request, one line of JSON, and then its lifeline: when that closes, because whoever started
it closed it or died, the program ends whatever it has started and itself. Its standard output is one JSON document a
line (`events.py`). It needs a Python of 3.11 or later and nothing else; Blender's own one does, and is left as it is.

Blender imports `builds`, `plan` and `records` of this package, which only look and compute.
"""
