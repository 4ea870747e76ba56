"""From views of an object with known cameras to a coloured surface: blocks of every method that has such views, be they
photographed, rendered or painted by a network."""
