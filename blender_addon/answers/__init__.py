"""What jobs ask, and the answers that are being put together."""
