"""The buttons: one file each, each a thin call."""

from . import (
    answer,
    boxes,
    cancel,
    copy_error,
    delete_job,
    generate,
    install,
    models,
    open_log,
    photos,
    refresh,
    reimport,
    server,
    support_bundle,
    variants,
    views,
)

CLASSES = tuple(
    operator
    for module in (
        generate,
        answer,
        boxes,
        photos,
        cancel,
        reimport,
        delete_job,
        refresh,
        server,
        install,
        open_log,
        copy_error,
        models,
        support_bundle,
        variants,
        views,
    )
    for operator in module.CLASSES
)
