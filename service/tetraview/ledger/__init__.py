"""Records that tetraview must not lose: instances, exams, readings, deliveries."""

from tetraview.ledger.database import check_database, open_engine
from tetraview.ledger.ledger import Ledger, Unsettled
from tetraview.ledger.selection import EVERY, Outcome, Selection
from tetraview.ledger.senders import SenderBook
from tetraview.ledger.services import DEAD_SECONDS, ServiceBook
from tetraview.ledger.summary import ExamSummary, ImageSummary

__all__ = [
    "DEAD_SECONDS",
    "EVERY",
    "ExamSummary",
    "ImageSummary",
    "Ledger",
    "Outcome",
    "Selection",
    "SenderBook",
    "ServiceBook",
    "Unsettled",
    "check_database",
    "open_engine",
]
