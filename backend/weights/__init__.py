"""The models: what each is called, where it lies, whether it is complete, what its licence says.

A file per method has the rows of the catalogue. The network is never touched here: `backend/downloads` does that.
"""

from backend.weights.catalogue import WEIGHTS, row_of
from backend.weights.looking import Sight, State, faults, locate, look, present, variant
from backend.weights.places import VARIABLE, converted_folder, models_kept_in, own_folder
from backend.weights.row import Weights
from backend.weights.telling import INSTALL_AGAIN, download_command, problem_of

__all__ = [
    "INSTALL_AGAIN",
    "VARIABLE",
    "WEIGHTS",
    "Sight",
    "State",
    "Weights",
    "converted_folder",
    "download_command",
    "faults",
    "locate",
    "look",
    "models_kept_in",
    "own_folder",
    "present",
    "problem_of",
    "row_of",
    "variant",
]
