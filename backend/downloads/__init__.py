"""Models from the hub to this machine: paused at any moment, resumed, checked, repaired, removed.

    licences.py   what the user has accepted, once
    folder.py     a model's own folder: what belongs there, what is there, what is ours
    hub.py        what the hub has, and its bytes from any position on          (child process)
    fetch.py      one model made complete, or checked                            (child process)
    patience.py   which failures are tried again, when, and for how long         (child process)
    process.py    `python -m backend.downloads.process`: one task of fetch.py
    manager.py    the queue of a server or a command line: one task, one process
    views.py      what GET /models shows

The work is done in a process of its own because a process can be ended at once, whatever it waits for: a name server,
a proxy, a stalled connection, a slow disk. Everything on disk is made to be resumed after exactly that. The library of
the hub (huggingface_hub) tells what there is and who may have it; it does not move the bytes, because its downloads do
not outlive their process and compare lengths only.
"""
