"""What tetraview knows and must not forget: instances, exams, readings, deliveries."""

from tetraview.ledger.database import check_database, open_engine
from tetraview.ledger.ledger import Ledger
from tetraview.ledger.summary import ExamSummary, ImageSummary

__all__ = ["ExamSummary", "ImageSummary", "Ledger", "check_database", "open_engine"]
