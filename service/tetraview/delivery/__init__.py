"""Result objects to their destinations."""

from tetraview.delivery.scu import deliver
from tetraview.delivery.sender import echo, store_files

__all__ = ["deliver", "echo", "store_files"]
