"""The stages that read an exam, in the order of the reading."""

from __future__ import annotations

from enum import StrEnum


class Stage(StrEnum):
    """One of the stages that a model stands for; a model may stand for two."""

    #: Finds masses.
    DETECTOR = "detector"
    #: Outlines them.
    SEGMENTER = "segmenter"
    #: Grades them.
    CLASSIFIER = "classifier"
