"""Result objects to their destinations."""

from tetraview.delivery.commitment import ask_for_commitment
from tetraview.delivery.scu import deliver
from tetraview.delivery.sender import echo, store_files

__all__ = ["ask_for_commitment", "deliver", "echo", "store_files"]
