"""How many exams and images have which outcome, in numbers and in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tetraview.domain.exam import ExamState
from tetraview.domain.instance import Decision
from tetraview.tools.survey.outcome import SurveyedExam, SurveyedFile


class Tally:
    """Counts as a survey goes on."""

    def __init__(self) -> None:
        #: Exams that would be read, by the routes of their views.
        self.read: Counter[str] = Counter()
        #: Exams that would not, by reason code.
        self.skipped: Counter[str] = Counter()
        #: Images of the exams, by decision.
        self.images: Counter[str] = Counter()
        #: Flags of the images that would be read.
        self.flags: Counter[str] = Counter()
        #: Studies without a mammogram.
        self.other_studies = 0
        #: Files that hold nothing new, by sentence.
        self.unusable: Counter[str] = Counter()

    @property
    def exams(self) -> int:
        """Studies with a mammogram."""
        return self.read.total() + self.skipped.total()

    def add(self, item: SurveyedFile | SurveyedExam) -> None:
        """Count one more."""
        if isinstance(item, SurveyedFile):
            self.unusable[item.because.removesuffix(".")] += 1
        elif not item.is_mammography:
            self.other_studies += 1
        else:
            outcomes = self.read if item.state is ExamState.READING else self.skipped
            outcomes[item.reason] += 1
            self.images.update(file.decision for file in item.files)
            self.flags.update(flag for file in item.files if file.decision == Decision.READ for flag in file.flags)

    def sentences(self) -> Iterator[str]:
        """The result in words."""
        exams, skipped = self.exams, self.skipped.total()
        yield f"of {_count(exams, 'exam')} {_share(exams - skipped, exams)} would be read{_listed(self.read, of=exams)}"
        if skipped:
            yield f"{_share(skipped, exams)} would be skipped or held{_listed(self.skipped, of=exams)}"
        yield f"of {_count(self.images.total(), 'image')}{_listed(self.images, of=self.images.total())}"
        if self.flags:
            yield f"flags of what would be read{_listed(self.flags)}"
        if self.other_studies:
            yield f"{_count(self.other_studies, 'study', 'studies')} without a mammogram"
        if self.unusable:
            yield f"{_count(self.unusable.total(), 'file')} left out{_listed(self.unusable)}"


def ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    """The largest first, equal ones by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _share(number: int, total: int) -> str:
    return f"{number} ({number / total:.0%})" if total else f"{number}"


def _listed(counts: Counter[str], *, of: int = 0) -> str:
    listed = "; ".join(f"{_share(count, of)} {name}" for name, count in ranked(counts))
    return f": {listed}" if listed else ""
