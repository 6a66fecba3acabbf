"""Says it quietly."""
