"""What the phantom benchmark can show at best, and what it must not give away."""
