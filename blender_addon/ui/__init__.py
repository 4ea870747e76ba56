"""What the artist sees and presses."""
