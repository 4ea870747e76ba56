"""Jobs on the machines of a Ray cluster.

The server's side is light: `executor.py`, whose slots are those of `backend/jobs/local.py` with another kind of worker,
and `bridge.py`, which keeps a process that talks to the cluster. That process is `driver.py`; it alone imports Ray, and
it alone writes into the folders of jobs. `node.py` is what runs on the machines: an actor with a worker process.
"""
