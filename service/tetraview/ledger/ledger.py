"""Every question and every change the ledger knows, each with one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from tetraview.domain.delivery import ResultObject
from tetraview.domain.exam import Exam, ExamState, Remark, exam_id_of
from tetraview.domain.instance import NOTED, Instance, Recorded
from tetraview.domain.reading import Reading
from tetraview.domain.verdict import Verdict
from tetraview.errors import StorageUnavailable
from tetraview.ledger.deliveries import Deliveries
from tetraview.ledger.documents import exam_document, reading_document, results_document
from tetraview.ledger.generations import UNDER_WAY, is_generation, set_state
from tetraview.ledger.received import compare, instances_in_force, keep, mark
from tetraview.ledger.selection import EVERY, Selection, conditions
from tetraview.ledger.session import DETAIL
from tetraview.ledger.settling import settle_exam
from tetraview.ledger.summary import ExamSummary, summarise
from tetraview.ledger.tables import Moment, exams, instances, readings
from tetraview.ledger.workitems import Workitems, take_over

#: Tries to write a row that another association may be writing at the same moment.
_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """An exam with images that no generation has considered."""

    exam_id: str
    #: Our AE title that it was sent to.
    called_ae_title: str
    #: When the first of the images came that no generation has considered.
    first_image_at: datetime
    last_image_at: datetime
    #: Whether a person asked for reading the images that are there.
    forced: bool
    #: Whether its last generation has yet to come to its end.
    is_under_way: bool
    #: Remark of the last judgement.
    remark: Remark | None
    #: The images in force.
    instances: tuple[Instance, ...]


class Ledger(Deliveries):
    """The tables behind tetraview; every change is committed when its method returns.

    Raises:
        StorageUnavailable: from any method, when the database is locked, full or away.
    """

    @property
    def workitems(self) -> Workitems:
        """The records of the worklist."""
        return Workitems(self._begin)

    # Intake

    def record_instance(self, instance: Instance) -> Recorded:
        """Keep a received instance, and mark its exam unsettled where that may change the choice of images."""
        for _ in range(_TRIES):
            try:
                return self._record_once(instance)
            except sa.exc.IntegrityError:
                continue
        raise StorageUnavailable("other senders kept writing the same exam: send the image again")

    def _record_once(self, instance: Instance) -> Recorded:
        exam_id = exam_id_of(called_ae_title=instance.called_ae_title, study_instance_uid=instance.study_instance_uid)
        with self._begin() as connection:
            known = _hold_state(connection, exam_id, instance)
            recorded = compare(connection, instance)
            if recorded is Recorded.CONFLICT:
                return recorded
            self._touch_exam(connection, exam_id, instance, known=known, recorded=recorded)
            if recorded is Recorded.SAME:
                take_over(connection, exam_id, instance)
            else:
                keep(connection, exam_id, instance)
        return recorded

    def _touch_exam(
        self, connection: sa.Connection, exam_id: str, instance: Instance, *, known: str | None, recorded: Recorded
    ) -> None:
        moments = {"last_image_at": instance.received_at, "updated_at": self._now()}
        if known is None:
            connection.execute(
                exams.insert().values(
                    exam_id=exam_id,
                    called_ae_title=instance.called_ae_title,
                    state=ExamState.COLLECTING,
                    generation=0,
                    unsettled=True,
                    waiting_since=instance.received_at,
                    first_image_at=instance.received_at,
                    detail="",
                    **moments,
                )
            )
            return
        # A re-send of the same bytes changes nothing, unless a person re-sends what failed; our results that come
        # back change nothing at all.
        counts = recorded is not Recorded.SAME or known == ExamState.FAILED
        if counts and instance.eligibility.decision not in NOTED:
            waiting_since = sa.func.coalesce(exams.c.waiting_since, sa.literal(instance.received_at, Moment))
            change = {"unsettled": True, "waiting_since": waiting_since, **moments}
            connection.execute(exams.update().where(exams.c.exam_id == exam_id).values(**change))

    def has_path(self, path: str) -> bool:
        """Whether a spooled file belongs to a row."""
        with self._begin() as connection:
            return connection.execute(sa.select(instances.c.id).where(instances.c.path == path)).first() is not None

    def paths(self) -> list[str]:
        """Every spooled file that a row refers to."""
        with self._begin() as connection:
            return list(connection.execute(sa.select(instances.c.path)).scalars())

    # Settling

    def unsettled(self) -> list[Unsettled]:
        """The exams that wait for more images or for their reading, oldest first."""
        waiting = sa.select(exams).where(exams.c.unsettled)
        with self._begin() as connection:
            rows = connection.execute(waiting.order_by(exams.c.last_image_at)).all()
            return [
                Unsettled(
                    exam_id=row.exam_id,
                    called_ae_title=row.called_ae_title,
                    # Unset where a service of a version before wrote the row.
                    first_image_at=row.waiting_since or row.first_image_at,
                    last_image_at=row.last_image_at,
                    forced=row.forced,
                    is_under_way=row.state in UNDER_WAY,
                    remark=Remark(row.remark) if row.remark else None,
                    instances=instances_in_force(connection, row.exam_id),
                )
                for row in rows
            ]

    def settle(self, waiting: Unsettled, verdict: Verdict) -> Exam | None:
        """Let a waiting exam become what the verdict on its images says.

        Returns:
            The next generation, which is to be read; None where nothing is to be read: the exam is skipped or held,
            the choice was read already, or an image has come or a person has asked for the reading since the exam was
            looked at, which leaves it waiting.
        """
        with self._begin() as connection:
            current = self._hold_exam(connection, waiting.exam_id)
            asked_since = current.forced and not waiting.forced
            in_force = instances_in_force(connection, waiting.exam_id)
            if not current.unsettled or asked_since or in_force != waiting.instances:
                return None
            mark(connection, waiting.instances, verdict.others)
            return settle_exam(connection, current, verdict, self._now())

    def say(self, exam_id: str, detail: str) -> None:
        """Keep a sentence about an exam that waits for images, until it is settled."""
        this = sa.and_(exams.c.exam_id == exam_id, exams.c.state == ExamState.COLLECTING)
        with self._begin() as connection:
            connection.execute(exams.update().where(this).values(detail=detail[:DETAIL]))

    def force(self, exam_id: str) -> bool:
        """Ask for a reading of the images that an exam holds now, complete or not; whether there is such an exam."""
        this = exams.c.exam_id == exam_id
        waiting_since = sa.func.coalesce(exams.c.waiting_since, sa.literal(self._now(), Moment))
        asked = {"forced": True, "unsettled": True, "waiting_since": waiting_since}
        with self._begin() as connection:
            return bool(connection.execute(exams.update().where(this).values(**asked)).rowcount)

    def discard(self, exam_id: str) -> bool:
        """Put every image of an exam out of force, to be sent anew; whether there is such an exam and it is at rest."""
        this = exams.c.exam_id == exam_id
        gone = {
            "state": ExamState.SKIPPED,
            "remark": Remark.NO_IMAGE,
            "detail": "its images were discarded: send it anew",
        }
        with self._begin() as connection:
            at_rest = sa.and_(this, exams.c.state.not_in(UNDER_WAY))
            settled = {"unsettled": False, "waiting_since": None, "forced": False, "updated_at": self._now()}
            if not connection.execute(exams.update().where(at_rest).values(**gone, **settled)).rowcount:
                return False
            connection.execute(instances.update().where(instances.c.exam_id == exam_id).values(superseded=True))
            return True

    def unread(self) -> list[Exam]:
        """The settled exams that have no result yet; a start must make sure that they are under way."""
        open_states = (ExamState.READING, ExamState.DELIVERING)
        joined = readings.join(
            exams, sa.and_(exams.c.exam_id == readings.c.exam_id, exams.c.generation == readings.c.generation)
        )
        query = sa.select(readings.c.exam).select_from(joined).where(exams.c.state.in_(open_states))
        with self._begin() as connection:
            return [exam_document.validate_python(document) for document in connection.execute(query).scalars()]

    # Reading

    def settled_exam(self, exam_id: str, generation: int) -> Exam:
        """The choice of images of one generation."""
        return exam_document.validate_python(self._reading_row(exam_id, generation).exam)

    def record_reading(self, reading: Reading) -> None:
        """Keep what the models said, unless there are results of what they said before."""
        said = {
            "reading": reading_document.dump_python(reading, mode="json"),
            "stage_seconds": {stage: round(seconds, 3) for stage, seconds in reading.stage_seconds.items()},
        }
        unreported = readings.c.results.is_(sa.null())
        with self._begin() as connection:
            this = is_generation(reading.exam_id, reading.generation)
            connection.execute(readings.update().where(this, unreported).values(**said))

    def add_stage_seconds(self, exam_id: str, generation: int, *, stage: str, seconds: float) -> None:
        """Add to the time that a stage took."""
        spent = dict(self._reading_row(exam_id, generation).stage_seconds)
        spent[stage] = round(spent.get(stage, 0.0) + seconds, 3)
        self._update_reading(exam_id, generation, stage_seconds=spent)

    def reading(self, exam_id: str, generation: int | None = None) -> Reading | None:
        """The models' results for one generation, by default the newest that was read."""
        query = sa.select(readings.c.reading).where(readings.c.exam_id == exam_id, readings.c.reading.is_not(sa.null()))
        if generation is not None:
            query = query.where(readings.c.generation == generation)
        with self._begin() as connection:
            document = connection.execute(query.order_by(readings.c.generation.desc())).scalars().first()
        return None if document is None else reading_document.validate_python(document)

    # Ends

    def fail_exam(self, exam_id: str, generation: int, *, detail: str) -> None:
        """Say that a generation of an exam could not be read, and why; a newer one, or one with results, stays."""
        with self._begin() as connection:
            if self._hold_exam(connection, exam_id).state == ExamState.READING:
                set_state(connection, exam_id, generation, state=ExamState.FAILED, detail=detail[:DETAIL])

    def results(self, exam_id: str, generation: int) -> tuple[ResultObject, ...]:
        """The result objects of one generation, whether or not anybody is owed them; none before they are written."""
        query = sa.select(readings.c.results).where(
            is_generation(exam_id, generation), readings.c.results.is_not(sa.null())
        )
        with self._begin() as connection:
            document = connection.execute(query).scalar()
        return () if document is None else results_document.validate_python(document)

    def results_before(self, exam_id: str, generation: int) -> tuple[ResultObject, ...]:
        """The results of the newest earlier generation that has any."""
        earlier = (self.results(exam_id, number) for number in range(generation - 1, 0, -1))
        return next(filter(None, earlier), ())

    # Looking

    def exams(self, *, limit: int, offset: int = 0, selection: Selection = EVERY) -> list[ExamSummary]:
        """The exams selected, newest first."""
        query = sa.select(exams).where(*conditions(selection))
        newest = query.order_by(exams.c.last_image_at.desc(), exams.c.exam_id).limit(limit).offset(offset)
        with self._begin() as connection:
            return [summarise(connection, row) for row in connection.execute(newest)]

    def exam(self, exam_id: str) -> ExamSummary | None:
        """One exam, or None where there is none of this identifier."""
        with self._begin() as connection:
            row = connection.execute(sa.select(exams).where(exams.c.exam_id == exam_id)).one_or_none()
            return None if row is None else summarise(connection, row)

    def exams_of_study(self, study_instance_uid: str) -> list[ExamSummary]:
        """The exams of a study: one for each of our AE titles that it was sent to."""
        titles = self.called_ae_titles()
        of_study = [exam_id_of(called_ae_title=title, study_instance_uid=study_instance_uid) for title in titles]
        return self._exams(exams.c.exam_id.in_(of_study))

    def exams_of_accession(self, accession_key: str) -> list[ExamSummary]:
        """The exams with an image of an Accession Number, of which only the digest is known."""
        same = instances.c.document["accession_key"].as_string() == accession_key
        return self._exams(exams.c.exam_id.in_(sa.select(instances.c.exam_id).where(same)))

    def _exams(self, condition: sa.ColumnElement[bool]) -> list[ExamSummary]:
        query = sa.select(exams).where(condition).order_by(exams.c.last_image_at.desc(), exams.c.exam_id)
        with self._begin() as connection:
            return [summarise(connection, row) for row in connection.execute(query)]

    def called_ae_titles(self) -> list[str]:
        """Our AE titles that any exam was sent to, by name."""
        query = sa.select(exams.c.called_ae_title).distinct().order_by(exams.c.called_ae_title)
        with self._begin() as connection:
            return list(connection.execute(query).scalars())

    def count_exams(self, selection: Selection = EVERY) -> dict[ExamState, int]:
        """How many of the exams selected are in each state."""
        query = sa.select(exams.c.state, sa.func.count()).where(*conditions(selection)).group_by(exams.c.state)
        with self._begin() as connection:
            return {ExamState(state): count for state, count in connection.execute(query)}

    def oldest_exams(self) -> dict[ExamState, datetime]:
        """When the last image came of the oldest exam that is being read, and of the oldest that is being delivered."""
        query = sa.select(exams.c.state, sa.func.min(exams.c.last_image_at).label("at"))
        with self._begin() as connection:
            found = connection.execute(query.where(exams.c.state.in_(UNDER_WAY)).group_by(exams.c.state))
            return {ExamState(row.state): row.at for row in found}

    def oldest_unsettled(self) -> datetime | None:
        """When the last image came of the oldest exam with images that no generation has considered."""
        with self._begin() as connection:
            query = sa.select(sa.func.min(exams.c.last_image_at).label("at")).where(exams.c.unsettled)
            oldest: datetime | None = connection.execute(query).scalar_one()
        return oldest

    def count_unsettled(self) -> int:
        """How many exams have images that no generation has considered."""
        with self._begin() as connection:
            return connection.execute(sa.select(sa.func.count()).where(exams.c.unsettled)).scalar_one()


def _hold_state(connection: sa.Connection, exam_id: str, instance: Instance) -> str | None:
    """The state of an instance's exam, None where there is none yet; held by a write, as in ``Ledger._hold_exam``.

    So that of two versions of one image, sent at once by two senders, the later is compared with the earlier. Two that
    are the first of their exam meet in its primary key instead, and the later is tried again.
    """
    this = exams.c.exam_id == exam_id
    held = connection.execute(exams.update().where(this).values(called_ae_title=instance.called_ae_title)).rowcount
    # One that is there only now was written by another sender since, and is not held.
    return connection.execute(sa.select(exams.c.state).where(this)).scalar() if held else None
