"""The buttons: one file each, each a thin call."""

from . import (
    answer,
    batches,
    block_outs,
    boxes,
    cancel,
    copy_error,
    cures,
    delete_job,
    generate,
    going_on,
    install,
    keeping,
    models,
    open_log,
    outcome,
    photos,
    refresh,
    reimport,
    seed,
    server,
    studio,
    support_bundle,
    variants,
    views,
)

CLASSES = tuple(
    operator
    for module in (
        generate,
        batches,
        answer,
        boxes,
        photos,
        cancel,
        going_on,
        reimport,
        delete_job,
        refresh,
        server,
        studio,
        install,
        open_log,
        copy_error,
        models,
        support_bundle,
        variants,
        views,
        block_outs,
        cures,
        keeping,
        outcome,
        seed,
    )
    for operator in module.CLASSES
)
