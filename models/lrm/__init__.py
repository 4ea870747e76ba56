"""Large reconstruction models: a few views of one object → three feature planes → a field.

The model of InstantMesh is complete (`model`, `fields`). Cameras, plane sampling and volume rendering know nothing of
it and serve OpenLRM and MIRA as well.
"""
