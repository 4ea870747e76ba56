"""All that the buttons do, as Python calls; the same in a window, in `blender -b` and with bpy as a module.

    from bl_ext.user_default import set_dresser

    job = set_dresser.generate(objects=[box, cylinder], pipeline="inflate", wait=True)
    print(job.objects)

In a window, leave `wait` off: the job goes on while Blender is used, and its props come in when they are done. In
background mode nothing calls the add-on by itself, so a job only goes on while something waits for it: `wait=True`
(the default there) or `job.wait()`.

A job may ask something on its way. Waiting ends then as well, and `job.question` is no longer None:

    job = set_dresser.generate(prepare={"imagine": {"prompt": "a workshop"}}, wait=True)
    while job.question:
        job.answer({"chosen": [2]})
        job.wait()
"""
