"""Furniture that is made up from numbers: forms, materials and proportions are drawn, so there is no end of it."""
