"""Jobs: kept on disk, run one after the other by a worker process that may die without losing any.

`JobService` is the door; the server and the command line both go through it.
"""
