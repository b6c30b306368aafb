"""A Unified Procedure Step worklist (UPS-RS, PS3.18 section 11) whose workitems we perform."""

from tetraview.ups.client import check_worklist
from tetraview.ups.worker import WorklistWorker, open_worklist

__all__ = ["WorklistWorker", "check_worklist", "open_worklist"]
