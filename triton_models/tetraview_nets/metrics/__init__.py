"""Figures of merit, each defined once: detection, outlines, ranking and calibration, with patient bootstrap."""

from tetraview_nets.metrics.bootstrap import RESAMPLES, interval, patient_weights
from tetraview_nets.metrics.froc import (
    FPPI_POINTS,
    IOU_CRITERION,
    Froc,
    ImageResult,
    assign,
    iou_matrix,
    mask_iou,
)
from tetraview_nets.metrics.masks import MASK_FIGURES, Confusion, mean_per_roi, pooled
from tetraview_nets.metrics.paired import (
    NotComparable,
    Paired,
    difference,
    mean_precision,
    paired_auc,
    paired_mean,
    paired_recall,
)
from tetraview_nets.metrics.precision import OperatingPair, average_precision, tpr_at_fpavg
from tetraview_nets.metrics.ranking import (
    Bins,
    Line,
    auc,
    brier,
    calibration_line,
    equal_mass_bins,
    expected_calibration_error,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
)

__all__ = [
    "FPPI_POINTS",
    "IOU_CRITERION",
    "MASK_FIGURES",
    "RESAMPLES",
    "Bins",
    "Confusion",
    "Froc",
    "ImageResult",
    "Line",
    "NotComparable",
    "OperatingPair",
    "Paired",
    "assign",
    "auc",
    "average_precision",
    "brier",
    "calibration_line",
    "difference",
    "equal_mass_bins",
    "expected_calibration_error",
    "interval",
    "iou_matrix",
    "mask_iou",
    "mean_per_roi",
    "mean_precision",
    "paired_auc",
    "paired_mean",
    "paired_recall",
    "patient_weights",
    "pooled",
    "sensitivity_at_specificity",
    "specificity_at_sensitivity",
    "tpr_at_fpavg",
]
