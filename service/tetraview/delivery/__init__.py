"""Result objects to their destinations."""

from tetraview.delivery.scu import deliver

__all__ = ["deliver"]
