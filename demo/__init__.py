"""From a block-out to a set, without a screen: `python -m demo`."""
