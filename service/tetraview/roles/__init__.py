"""The two halves of the service, which run in one process or apart: one receives, the other reads and delivers."""

from tetraview.roles.listener import ListenerRole
from tetraview.roles.worker import WorkerRole, open_models, open_reader

__all__ = ["ListenerRole", "WorkerRole", "open_models", "open_reader"]
