"""The buttons: one file each, each a thin call."""

from . import cancel, copy_error, delete_job, generate, open_log, refresh, reimport, server

CLASSES = tuple(
    operator
    for module in (generate, cancel, reimport, delete_job, refresh, server, open_log, copy_error)
    for operator in module.CLASSES
)
