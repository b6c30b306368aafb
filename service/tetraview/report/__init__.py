"""Result objects: Segmentation, measurement report and CAD report, checked to fit each other."""

from tetraview.report.results import write_report

__all__ = ["write_report"]
