"""A dry run over an archive: which exams would be read and why others would not; nothing is read, kept or sent."""

from tetraview.tools.survey.run import run_survey

__all__ = ["run_survey"]
