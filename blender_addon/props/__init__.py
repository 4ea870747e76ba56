"""From a result to objects of the scene."""
