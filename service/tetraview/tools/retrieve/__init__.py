"""Exams out of an archive: queries, and retrieval over DICOMweb or DICOM."""

from tetraview.tools.retrieve.archive import Archive, find_studies, open_archive, retrieve_study, retrieved_files
from tetraview.tools.retrieve.pull import Pulled, pull
from tetraview.tools.retrieve.study import Study, check_dates

__all__ = [
    "Archive",
    "Pulled",
    "Study",
    "check_dates",
    "find_studies",
    "open_archive",
    "pull",
    "retrieve_study",
    "retrieved_files",
]
