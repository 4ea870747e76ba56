"""Hi3D: one picture → sixteen views all round the object at 512², and from there at 1024².

Yang et al., "Hi3D: Pursuing High-Resolution Image-to-3D Generation with Video Diffusion Models" (arXiv 2409.07452).
Both published checkpoints load unchanged: `first_stage.pt` and `second_stage.pt` of hbyang/Hi3D.

    orbit = OrbitPipeline.from_files("first_stage.pt", kept=folder, device="cuda", dtype=torch.float16)
    found = orbit(picture, elevation=10, generator=torch.Generator().manual_seed(7))
    found.frames                     # [16, 512, 512, 3], float32 0 … 1, numpy
    orbit.release()                  # all networks leave the device

    refine = RefinePipeline.from_files("second_stage.pt", kept=folder, device="cuda", dtype=torch.float16)
    sharp = refine(found.frames, elevation=10, generator=..., picture=picture).frames  # [16, 1024, 1024, 3]

(both from `models.hi3d.pipeline`; the caller says `torch.no_grad()`). `from_files` converts a file once to a folder of
safetensors, `<kept>/<name>.converted`, checks it by its headers and loads nothing; what can be wrong with a file is a
`CheckpointError` of `models.headers`, a sentence each.

**Cameras.** Frame k is seen from the azimuth k · 360 / 16 degrees to the right of the picture's camera, counter-
clockwise from above, all from one elevation, −10 … 40 degrees. The networks learned cameras 1.5 from the middle of an
object whose box has 1 as its longest side, 49.13 degrees across (35 mm on 32 mm). The picture is square, the object on
white.

**A run in steps**, for progress, checkpoints and small cards; `__call__` is these three:

    pipeline.after_use = pipeline.release  # each network leaves the device when it has done its part
    told = pipeline.condition(picture, elevation, generator)  # refine: (frames, elevation, generator, picture)
    latents = pipeline.denoise(told, steps=25, guidance=Guidance(), frugality=Frugality(), callback=look, start=None)
    frames = pipeline.decode(latents, group=2, looked=tell)  # two frames at a time

`callback` gets a `denoising.State` before the first step and after each (`state.done` of `state.steps`); an exception
from it ends the run, which is how to cancel. `pipeline.glimpse(state, told)` gives uint8 [16, h, w, 3] to look at, an
eighth as large as the frames, without a network. `state.tensors()` is what a checkpoint has to keep;
`State.from_tensors(tensors)` given as `start` goes on from there as if the run had not stopped, if `condition` was
called again with the same picture, elevation and a generator seeded the same: all chance is in `condition`.

`Guidance(triangular=True)` guides the frame at the back most in place of the last one; `Guidance(interval=INTERVAL)`
leaves out half of the unconditional half, for other numbers in three quarters of the time (`denoising`). `Frugality`
changes memory only, never numbers; `memory.ways` and `memory.needed_bytes` say which settings fit where.

`tiny.write_tiny_checkpoints(folder)` writes both files, small: frames of 64² and 128² that show the picture. Use two or
three steps with them. `pipeline.size` and `pipeline.frames` tell sizes. Importing this package imports nothing heavy.
"""
