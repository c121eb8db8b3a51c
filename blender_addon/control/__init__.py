"""What the artist poses with, beside the creature's own bones."""
