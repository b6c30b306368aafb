"""Result objects to their destinations."""
