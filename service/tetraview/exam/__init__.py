"""Which images make an exam, and when it is ready to be read."""

from tetraview.exam.ages import Ages
from tetraview.exam.completeness import is_due
from tetraview.exam.judgement import judge

__all__ = ["Ages", "is_due", "judge"]
