from __future__ import annotations

from types import SimpleNamespace

import pytest
from tests.support.intake import mammogram
from tests.support.ups_server import image_input
from tests.unit.ups.conftest import EXAM, SERIES, STUDY, WORKITEM, Bench

from tetraview.domain.delivery import DeliveryState
from tetraview.domain.exam import ExamState
from tetraview.domain.workitem import ClaimState
from tetraview.errors import WorklistUnavailable

ENCAPSULATED_PDF = "1.2.840.10008.5.1.4.1.1.104.1"


def claim_state(bench: Bench) -> ClaimState | None:
    claim = bench.ledger.workitems.find(WORKITEM)
    return claim and claim.state


def exam_state(bench: Bench) -> ExamState | None:
    standing = bench.ledger.workitems.standing(EXAM)
    return standing and standing.state


def test_a_workitem_is_performed_from_scheduled_to_completed(bench: Bench) -> None:
    """A scheduled workitem is claimed, its image fetched and read, its progress told, and its results are named."""
    bench.schedule()
    performer = bench.performer()
    performer.look()
    assert bench.state == "IN PROGRESS"
    performer.go_on()
    assert len(bench.ledger.workitems.received(EXAM)) == 1
    bench.settle()
    performer.go_on()
    bench.report()
    performer.go_on()
    bench.deliver()
    performer.go_on()
    assert bench.state == "COMPLETED"
    assert claim_state(bench) is ClaimState.COMPLETED
    assert [words.split()[-1] for words in bench.worklist.progress[WORKITEM]] == [
        "collected.",
        "read.",
        "delivered.",
        "delivered.",
    ]


def complete(bench: Bench) -> None:
    performer = bench.performer()
    performer.look()
    performer.go_on()
    bench.settle()
    bench.report()
    bench.deliver()
    performer.go_on()


def test_a_completed_workitem_says_what_was_performed_and_where_the_results_are(bench: Bench) -> None:
    """Station, workitem code, start, end and every result with series, SOP class and the AE title that has it."""
    bench.schedule()
    complete(bench)
    (performed,) = bench.worklist.workitems[WORKITEM].UnifiedProcedureStepPerformedProcedureSequence
    assert performed.PerformedStationNameCodeSequence[0].CodeValue == "TETRAVIEW"
    assert performed.PerformedWorkitemCodeSequence[0].CodeValue == "110004"
    assert performed.PerformedProcedureStepStartDateTime == "20260102030405+0000"
    assert performed.PerformedProcedureStepEndDateTime == "20260102030405+0000"
    assert len(performed.ActualHumanPerformersSequence) == 0
    (output,) = performed.OutputInformationSequence
    assert (output.StudyInstanceUID, output.SeriesInstanceUID) == (STUDY, "2.25.901")
    assert output.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == "2.25.900"
    assert output.DICOMRetrievalSequence[0].RetrieveAETitle == "PACS"


def test_a_workitem_that_somebody_else_has_is_left_alone(bench: Bench) -> None:
    """Where the claim is answered with 409 and the worklist holds another Transaction UID, nothing more is done."""
    bench.schedule()
    performer = bench.performer()
    item = bench.worklist.workitems[WORKITEM]
    found = performer._client.retrieve(WORKITEM)
    item.ProcedureStepState = "IN PROGRESS"
    bench.worklist.transactions[WORKITEM] = "2.25.5"
    performer._client.search = lambda _: [WORKITEM]  # type: ignore[method-assign]  # taken between search and claim
    performer._client.retrieve = lambda _: found  # type: ignore[method-assign]
    performer.look()
    assert claim_state(bench) is ClaimState.LOST
    performer.look()
    performer.go_on()
    assert bench.images.asked == []


@pytest.mark.parametrize(
    "words",
    [
        {"ready": False},
        {"code": "110005^DCM"},
        {"station": "OTHER^99OTHER"},
    ],
    ids=["inputs not ready", "another code", "another station"],
)
def test_what_is_not_for_us_is_not_claimed(bench: Bench, words: dict[str, object]) -> None:
    """A workitem of another code or station, or whose inputs are not ready, stays scheduled."""
    bench.schedule(**words)
    bench.performer().look()
    assert bench.state == "SCHEDULED"


def test_without_codes_only_what_names_our_station_is_taken(bench: Bench) -> None:
    """With no workitem code set, a workitem is ours where our station is among those scheduled."""
    bench.schedule(code="1^X")
    bench.schedule(uid="2.25.1002", code="1^X", station="TETRAVIEW^99TETRAVIEW")
    bench.performer(workitem_codes=()).look()
    assert (bench.state, bench.worklist.state("2.25.1002")) == ("SCHEDULED", "IN PROGRESS")


def test_what_is_to_be_sent_to_us_is_claimed_once_it_is_here(bench: Bench) -> None:
    """Inputs without a Retrieve URL have to come by C-STORE; until all are here the workitem stays scheduled."""
    first, second = bench.image(url=""), bench.image(url="")
    bench.schedule(first, second)
    performer = bench.performer()
    bench.store(first.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    performer.look()
    assert bench.state == "SCHEDULED"
    bench.store(second.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    performer.look()
    performer.go_on()
    assert claim_state(bench) is ClaimState.PERFORMING
    assert bench.images.asked == []


def test_images_that_are_here_are_not_fetched_again(bench: Bench) -> None:
    """If two inputs have Retrieve URLs, only the one that did not come by C-STORE is fetched."""
    first, second = bench.image(), bench.image()
    bench.schedule(first, second)
    bench.store(first.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    performer = bench.performer()
    performer.look()
    performer.go_on()
    assert bench.images.asked == [second.ReferencedSOPSequence[0].ReferencedSOPInstanceUID]


def test_a_whole_study_is_fetched_by_its_url(bench: Bench) -> None:
    """An input that references no instance but names the study's URL brings all images of the study."""
    bench.image()
    bench.schedule(bench.image(url="study"))
    performer = bench.performer()
    performer.look()
    performer.go_on()
    assert len(bench.ledger.workitems.received(EXAM)) == 2


def test_an_exam_waits_while_its_images_are_fetched(bench: Bench) -> None:
    """As long as images of a workitem are being fetched, its exam counts as being sent."""
    bench.schedule(bench.image(), bench.image())
    performer = bench.performer()
    performer.look()
    seen = []
    fetch = performer._fetcher._fetch

    def see(*key: str) -> None:
        seen.append(performer.exams_being_fetched())
        fetch(*key)

    performer._fetcher._fetch = see  # type: ignore[method-assign]
    performer.go_on()
    assert seen == [{EXAM}, {EXAM}]
    assert performer.exams_being_fetched() == frozenset()


def canceled_because(bench: Bench) -> str:
    (progress,) = bench.worklist.workitems[WORKITEM].ProcedureStepProgressInformationSequence
    assert progress.ProcedureStepDiscontinuationReasonCodeSequence[0].CodingSchemeDesignator == "DCM"
    return str(progress.ReasonForCancellation)


def test_inputs_of_a_server_that_is_not_named_are_not_fetched(bench: Bench) -> None:
    """A workitem cannot make us ask any address: servers of images are named in the settings."""
    bench.schedule()
    performer = bench.performer(retrieve_from=())
    performer.look()
    performer.go_on()
    assert bench.state == "CANCELED"
    assert "worklist.retrieve_from" in canceled_because(bench)
    assert bench.images.asked == []


@pytest.mark.parametrize("fault", ["gone", "other study", "two studies", "no input"])
def test_a_workitem_whose_images_cannot_be_had_is_canceled(bench: Bench, fault: str) -> None:
    """A workitem without input, or whose images are gone, of another study or of two, is canceled with the reason."""
    bench.schedule()
    item = bench.worklist.workitems[WORKITEM]
    if fault == "gone":
        bench.images.files.clear()
    elif fault == "other study":
        uid = next(iter(bench.images.files))
        bench.images.add(mammogram(SOPInstanceUID=uid, SeriesInstanceUID="2.25.78"))
    elif fault == "two studies":
        item.InputInformationSequence = [*item.InputInformationSequence, image_input("2.25.1", url=bench.images.url)]
    else:
        item.InputInformationSequence = []
    performer = bench.performer()
    performer.look()
    performer.go_on()
    assert bench.state == "CANCELED"
    assert canceled_because(bench)
    assert claim_state(bench) is ClaimState.CANCELED


@pytest.mark.parametrize("status", [401, 403, 408, 429, 503])
def test_a_server_of_images_that_does_not_give_them_now_is_asked_again(bench: Bench, status: int) -> None:
    """While the server is away, or does not know us, the workitem stays claimed, and is canceled only after a day."""
    bench.schedule()
    bench.images.broken = status
    performer = bench.performer()
    performer.look()
    performer.go_on()
    assert bench.state == "IN PROGRESS"
    bench.wait(hours=25)
    bench.performer().go_on()
    assert bench.state == "CANCELED"


def test_asked_to_cancel_before_the_reading_it_is_canceled(bench: Bench) -> None:
    """A request to cancel ends a workitem whose images are still being collected, and leaves those unread."""
    bench.schedule(bench.image(), bench.image())
    performer = bench.performer()
    performer.look()
    performer._claims.ask_to_cancel(WORKITEM, "wrong patient")
    performer.go_on()
    assert bench.state == "CANCELED"
    assert canceled_because(bench) == "Canceled as asked: wrong patient"
    assert bench.images.asked == []
    assert bench.ledger.unsettled() == []


def test_images_fetched_for_a_canceled_workitem_are_not_read(bench: Bench) -> None:
    """Images fetched before the request to cancel stay unread, and the exam says why."""
    bench.schedule(bench.image(), bench.image())
    performer = bench.performer()
    performer.look()
    fetch = performer._fetcher._fetch

    def ask_after_first(*key: str) -> None:
        fetch(*key)
        performer._claims.ask_to_cancel(WORKITEM, "wrong patient")

    performer._fetcher._fetch = ask_after_first  # type: ignore[method-assign]
    performer.go_on()
    assert len(bench.images.asked) == 1
    assert bench.state == "CANCELED"
    assert exam_state(bench) is ExamState.SKIPPED
    assert bench.ledger.unsettled() == []


def test_asked_to_cancel_by_the_workitem_itself(bench: Bench) -> None:
    """A reason for cancellation that stands in the workitem counts as a request, where events are not heard."""
    bench.schedule()
    performer = bench.performer()
    performer.look()
    progress = bench.image()  # any item will do as a place
    progress.ReasonForCancellation = "ordered twice"
    bench.worklist.workitems[WORKITEM].ProcedureStepProgressInformationSequence = [progress]
    performer.go_on()
    assert canceled_because(bench) == "Canceled as asked: ordered twice"


def test_asked_to_cancel_after_the_reading_began_it_goes_on(bench: Bench) -> None:
    """A request that comes once the exam is being read is declined by going on (PS3.4 CC.2.2)."""
    bench.schedule()
    performer = bench.performer()
    performer.look()
    performer.go_on()
    bench.settle()
    performer._claims.ask_to_cancel(WORKITEM, "wrong patient")
    performer.go_on()
    assert bench.state == "IN PROGRESS"
    bench.report()
    bench.deliver()
    performer.go_on()
    assert bench.state == "COMPLETED"


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("failed", "110501", "The exam is failed: Triton is away"),
        ("skipped", "110523", "The exam is skipped: no image of it is read"),
        ("held", "110523", "The exam is held: PatientID"),
        ("refused", "110501", "The exam is failed: a destination refused"),
    ],
)
def test_an_exam_that_has_no_results_cancels_its_workitem(bench: Bench, kind: str, code: str, words: str) -> None:
    """An exam that failed, was skipped or is held cancels its workitem, with the reason in words and as a code."""
    attributes = {"skipped": {"BreastImplantPresent": "YES"}, "held": {"PatientID": "OTHER"}}.get(kind, {})
    made = bench.images.add(mammogram(StudyInstanceUID=STUDY, **attributes))
    source = image_input(STUDY, "2.25.78", made, url=f"{bench.images.url}/studies/{STUDY}/series/2.25.78")
    bench.schedule(*([source] if kind == "skipped" else [source, bench.image()]))
    performer = bench.performer()
    performer.look()
    performer.go_on()
    bench.settle()
    if kind == "failed":
        bench.ledger.fail_exam(EXAM, 1, detail="Triton is away")
    elif kind == "refused":
        bench.report()
        bench.deliver(DeliveryState.REFUSED)
    performer.go_on()
    assert bench.state == "CANCELED"
    assert canceled_because(bench).startswith(words)
    (progress,) = bench.worklist.workitems[WORKITEM].ProcedureStepProgressInformationSequence
    assert progress.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == code


def test_a_claim_whose_answer_was_lost_is_still_ours(bench: Bench) -> None:
    """Where the worklist holds our Transaction UID already, a second claim is answered 409 and the work goes on."""
    bench.schedule()
    performer = bench.performer()
    record = performer._claims.record
    performer._claims.record = lambda _: (_ for _ in ()).throw(KeyboardInterrupt)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):  # dies between the answer and its record
        performer.look()
    performer._claims.record = record  # type: ignore[method-assign]
    assert claim_state(bench) is ClaimState.CLAIMING
    transaction = bench.worklist.transactions[WORKITEM]
    restarted = bench.performer()
    restarted.go_on()
    restarted.go_on()
    assert claim_state(bench) is ClaimState.PERFORMING
    assert bench.worklist.transactions[WORKITEM] == transaction


def test_a_workitem_that_was_completed_before_the_kill_is_not_completed_again(bench: Bench) -> None:
    """Where the worklist says COMPLETED and our row does not yet, the row follows."""
    bench.schedule()
    performer = bench.performer()
    performer.look()
    performer.go_on()
    bench.settle()
    bench.report()
    bench.deliver()
    bench.worklist.workitems[WORKITEM].ProcedureStepState = "COMPLETED"
    performer.go_on()
    assert claim_state(bench) is ClaimState.COMPLETED
    assert not [path for method, path, _ in bench.worklist.log if method == "PUT" and "state" in path][1:]


def test_a_workitem_that_was_taken_from_us_is_given_up(bench: Bench) -> None:
    """If the worklist no longer knows our workitem, nothing more is asked about it."""
    bench.schedule()
    performer = bench.performer()
    performer.look()
    del bench.worklist.workitems[WORKITEM]
    performer.go_on()
    assert claim_state(bench) is ClaimState.LOST
    assert bench.ledger.workitems.open() == []


def test_images_of_a_workitem_that_was_ended_elsewhere_are_not_read(bench: Bench) -> None:
    """If the worklist itself cancels a workitem in hand, the images fetched for it stay unread."""
    bench.schedule(bench.image(), bench.image())
    performer = bench.performer()
    performer.look()
    fetch = performer._fetcher._fetch
    calls = iter([fetch])

    def fetch_once(*key: str) -> None:
        next(calls)(*key)

    performer._fetcher._fetch = fetch_once  # type: ignore[method-assign]
    performer.go_on()
    assert exam_state(bench) is ExamState.COLLECTING
    bench.worklist.workitems[WORKITEM].ProcedureStepState = "CANCELED"
    bench.performer().go_on()
    assert claim_state(bench) is ClaimState.CANCELED
    assert exam_state(bench) is ExamState.SKIPPED


def test_a_worklist_that_is_away_is_seen_and_tried_again(bench: Bench) -> None:
    """While the worklist answers 503 the gauge is 0 and claims stay open; once back, they go on."""
    bench.schedule()
    performer = bench.performer()
    performer.look()
    bench.worklist.broken = 503
    performer.go_on()
    with pytest.raises(WorklistUnavailable):
        performer.look()
    assert bench.metrics.worklist_ready.collect()[0].samples[0].value == 0
    bench.worklist.broken = 0
    bench.performer().go_on()
    assert claim_state(bench) is ClaimState.PERFORMING


def test_only_a_few_workitems_are_held_at_once(bench: Bench) -> None:
    """Workitems that we cannot begin soon are left to other performers."""
    for number in range(6):
        bench.schedule(uid=f"2.25.200{number}")
    bench.performer().look()
    assert len(bench.ledger.workitems.open()) == 4


def test_workitems_that_only_wait_take_no_place(bench: Bench) -> None:
    """Where a destination and a server of images are away, workitems of others are claimed beside those that wait."""
    delivered, elsewhere = bench.image(), bench.image(url="study")
    bench.schedule(delivered)
    performer = bench.performer(poll_seconds=60.0)
    performer.look()
    performer.go_on()
    bench.settle()
    bench.report()
    performer.go_on()
    bench.images.broken = 503
    for number in range(3):
        bench.schedule(elsewhere, uid=f"2.25.200{number}")
    performer.look()
    performer.go_on()
    bench.images.broken = 0
    for number in range(5):
        bench.schedule(uid=f"2.25.300{number}")
    performer.look()
    assert [bench.worklist.state(f"2.25.300{number}") for number in range(5)] == ["IN PROGRESS"] * 4 + ["SCHEDULED"]


def test_a_late_image_that_another_sender_brings_is_read_after_a_cancellation(bench: Bench) -> None:
    """An exam that holds images of other senders is not withdrawn with a workitem."""
    first = bench.image(url="")
    bench.schedule(first)
    bench.store(first.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    performer = bench.performer()
    performer.look()
    performer._claims.ask_to_cancel(WORKITEM, "wrong patient")
    performer.go_on()
    assert bench.state == "CANCELED"
    assert [waiting.exam_id for waiting in bench.ledger.unsettled()] == [EXAM]


def test_what_else_a_study_holds_is_no_fault(bench: Bench) -> None:
    """A whole study may hold objects that are not stored here, and images that came in another form: they are left."""
    bench.images.add(mammogram(StudyInstanceUID=STUDY))
    _, twice = bench.images.add(mammogram(StudyInstanceUID=STUDY))
    bench.store(twice)
    bench.images.add(mammogram(StudyInstanceUID=STUDY, SOPInstanceUID=twice, Manufacturer="Changed"))
    bench.images.add(mammogram(StudyInstanceUID=STUDY), sop_class_uid="1.2.840.10008.5.1.4.1.1.104.3")
    bench.schedule(image_input(STUDY, url=f"{bench.images.url}/studies/{STUDY}"))
    performer = bench.performer()
    performer.look()
    performer.go_on()
    assert claim_state(bench) is ClaimState.PERFORMING
    assert len(bench.ledger.workitems.received(EXAM)) == 2


@pytest.mark.parametrize("url", ["", "instance"])
def test_instances_that_we_do_not_take_are_no_inputs(bench: Bench, url: str) -> None:
    """A reference to an instance whose SOP class is not stored here, alone or beside an image, is passed over."""
    beside = bench.image(url=url)
    (report,) = image_input(STUDY, SERIES, (ENCAPSULATED_PDF, "2.25.1.1")).ReferencedSOPSequence
    beside.ReferencedSOPSequence.append(report)
    alone = image_input("2.25.999", "2.25.998", (ENCAPSULATED_PDF, "2.25.1.2"), url=f"{bench.images.url}/nowhere")
    bench.schedule(beside, alone)
    image = beside.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
    if not url:
        bench.store(image)
    performer = bench.performer()
    performer.look()
    performer.go_on()
    assert claim_state(bench) is ClaimState.PERFORMING
    assert bench.ledger.workitems.received(EXAM) == {image}


def test_a_workitem_that_cannot_be_understood_holds_up_no_other(bench: Bench) -> None:
    """A workitem that is listed but cannot be retrieved is passed over, and the next one is claimed."""
    bench.schedule(uid="2.25.1000")
    bench.schedule()
    bench.worklist.unreadable = "2.25.1000"
    performer = bench.performer(poll_seconds=60.0)
    performer.look()
    performer.look()
    assert bench.state == "IN PROGRESS"


def test_workitems_that_are_gone_hold_up_no_other(bench: Bench) -> None:
    """Workitems that the worklist lists but does not have are passed over within one search."""
    bench.schedule()
    performer = bench.performer()
    performer._client.search = lambda _: ["2.25.1", "2.25.2", WORKITEM]  # type: ignore[method-assign]
    performer.look()
    assert bench.state == "IN PROGRESS"


def test_each_pause_of_a_workitem_that_fails_is_longer(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A try is repeated after one, two and four search pauses and at last every five minutes; success resets this."""
    now = [0.0]
    monkeypatch.setattr("tetraview.ups.performer.time", SimpleNamespace(monotonic=lambda: now[0]))
    bench.images.broken = 503
    bench.schedule()
    performer = bench.performer(poll_seconds=10.0)
    performer.look()
    tries = []
    for second in range(1200):
        now[0] = float(second)
        bench.images.asked.clear()
        performer.go_on()
        tries += [second] * len(bench.images.asked)
    assert tries == [0, 10, 30, 70, 150, 310, 610, 910]
    bench.images.broken, now[0] = 0, 1210.0
    performer.go_on()
    assert claim_state(bench) is ClaimState.PERFORMING
    assert performer._paused == {}


def test_killed_while_canceling_it_cancels_for_the_same_reason(bench: Bench) -> None:
    """The reason that we wrote before the kill is not taken for somebody's request after it."""
    bench.schedule()
    bench.images.files.clear()
    performer = bench.performer()
    performer.look()
    change_state = performer._client.change_state
    performer._client.change_state = lambda *_, **__: 1 / 0  # type: ignore[method-assign]
    performer.go_on()
    first = canceled_because(bench)
    assert bench.state == "IN PROGRESS"
    performer._client.change_state = change_state  # type: ignore[method-assign]
    bench.performer().go_on()
    assert bench.state == "CANCELED"
    assert canceled_because(bench) == first


def test_a_stop_in_the_middle_of_fetching_goes_on_with_the_next_start(bench: Bench) -> None:
    """A service that stops between two images leaves the workitem claimed, and the next start fetches the rest."""
    bench.schedule(bench.image(), bench.image())
    performer = bench.performer()
    performer.look()
    fetch = performer._fetcher._fetch

    def stop_after_first(*key: str) -> None:
        fetch(*key)
        bench.stopping.set()

    performer._fetcher._fetch = stop_after_first  # type: ignore[method-assign]
    performer.go_on()
    assert (claim_state(bench), len(bench.images.asked)) == (ClaimState.CLAIMED, 1)
    bench.stopping.clear()
    bench.performer().go_on()
    assert (claim_state(bench), len(bench.images.asked)) == (ClaimState.PERFORMING, 2)
