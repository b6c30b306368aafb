"""The contents of the pages."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tetraview.domain.exam import ExamState
from tetraview.domain.view import View
from tetraview.ledger.summary import ImageSummary
from tetraview.report.statement import statement
from tetraview.web.objects import sent_objects

if TYPE_CHECKING:
    from conftest import Site

EXAM = "/exams/0f3ab2c4d5e6f708"
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>${jndi:ldap://x}\r\n"


def text_of(page: str) -> str:
    """A page's words with single spaces."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.split("<main", 1)[1]).split())


class _Tags(HTMLParser):
    """Collects the tags and attributes that a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def tags_of(page: str, name: str) -> list[dict[str, str | None]]:
    return [attributes for tag, attributes in _Tags(page).seen if tag == name]


@pytest.mark.parametrize("path", ["/", EXAM, "/nothing"])
def test_every_page_says_that_it_is_research(site: Site, path: str) -> None:
    """Every page says that this is no medical device, and an exam's page also names the training of its weights."""
    trained = "Weights trained on CBIS-DDSM and synthetic phantoms." if path == EXAM else ""
    assert statement(trained) in site.client.get(path).text


@pytest.mark.parametrize("path", ["/", EXAM])
def test_titles_and_addresses_hold_nothing_but_the_opaque_identifier(site: Site, path: str) -> None:
    """Links and titles carry the exam's digest, generations, outputs and views, states and AE titles only."""
    page = site.client.get(path).text
    addresses = [a["href"] for a in tags_of(page, "a") + tags_of(page, "image") + tags_of(page, "link")]
    file = r"[LR]-(CC|MLO)\.png|objects/[a-z]+/[a-z]+(-[LR]-(CC|MLO))?\.dcm"
    allowed = re.compile(rf"/|/senders|/\?state=[a-z]+|/static/[a-z.]+|/exams/[0-9a-f]{{16}}(/\d+(/({file}))?)?")
    assert addresses
    assert all(allowed.fullmatch(str(address)) for address in addresses), addresses
    assert re.search(r"<title>(Exams|Exam 0f3ab2c4d5e6f708) · tetraview</title>", page)


def test_the_worklist_shows_state_views_and_findings(site: Site) -> None:
    """A row names the exam, its state, the AE title called, the views and findings, and which images are not read."""
    page = site.client.get("/").text
    assert "0f3ab2c4d5e6f708 delivering TETRA_B R-CC, L-CC, R-MLO 2 2026-11-21 05:00:00 UTC" in text_of(page)
    assert "Not read: IMPLANT" in text_of(page)
    assert [rect["class"] for rect in tags_of(page, "rect")] == ["has", "has", "has", "lacks"]


def test_an_exam_whose_results_are_refused_has_not_failed(site: Site) -> None:
    """In place of `failed`, list and page say how many of its objects a destination refused."""
    site.change(state=ExamState.FAILED, owed=3, refused=1)
    for address in ("/", EXAM):
        assert "delivery refused (1 of 3)" in site.client.get(address).text
    exam = site.client.get("/api/exams").json()[0]
    assert (exam["state"], exam["owed"], exam["refused"]) == ("failed", 3, 1)
    site.change(refused=0)
    assert "delivery refused" not in text_of(site.client.get("/").text)


def test_the_worklist_names_the_views_that_could_not_be_read(site: Site) -> None:
    """A count of findings never stands alone where a view failed."""
    assert "Could not be read: L-CC" in text_of(site.client.get("/").text)
    site.change(failed=())
    assert "Could not be read" not in text_of(site.client.get("/").text)


def test_an_empty_worklist_says_what_to_do(site: Site) -> None:
    """A worklist without exams says how to send one."""
    site.ledger.summaries.clear()
    assert "Send mammograms to the DICOM port" in site.client.get("/").text


def test_outlines_lie_in_stored_pixels_over_the_preview(site: Site) -> None:
    """The picture's frame and image span the stored pixels, whatever the preview's scale, and outlines are as given."""
    page = site.client.get(EXAM).text
    views = [svg["viewbox"] for svg in tags_of(page, "svg") if svg.get("role") == "group"]
    assert views == ["0 0 320.0 400.0"] * 2
    assert [(image["width"], image["height"]) for image in tags_of(page, "image")] == [("320.0", "400.0")] * 2
    assert [path["d"] for path in tags_of(page, "path")] == ["m120 160 80 0 0 60 -80 0z"] * 2


def test_views_hang_with_chest_walls_in_the_middle(site: Site) -> None:
    """Right breast left of left breast, CC over MLO; right images are pushed to the right, left ones to the left."""
    page = site.client.get(EXAM).text
    assert re.findall(r"<figcaption><b>(.*?)</b>", page) == ["R-CC", "L-CC", "R-MLO", "L-MLO"]
    sides = [svg["preserveaspectratio"] for svg in tags_of(page, "svg") if svg.get("role") == "group"]
    assert sides == ["xMaxYMid meet"] * 2


def test_the_findings_table_gives_scores_level_route_and_sizes(site: Site) -> None:
    """A row holds label, view, certainty of the lesion, scores, level, route and sizes; unknown values are dashes."""
    words = text_of(site.client.get(EXAM).text)
    assert "L1-MLO R-MLO 0.87 0.83 0.41 intermediate ipsi 17.2 mm 182 mm² 48 mm" in words
    assert "L1-CC R-CC 0.87 0.83 – – ipsi 17.2 mm 182 mm² –" in words
    assert "mommi_classifier 4, preset slim" in words
    assert "suspicion is an estimated level, no assessment of the patient" in words


def test_probabilities_are_shown_only_where_there_are_any(site: Site) -> None:
    """Without a calibrated score no heading has the word; with one, both values and their conditions are shown."""
    assert "Probability of a mass" not in text_of(site.client.get(EXAM).text)
    (known,) = site.ledger.readings
    views = [
        replace(view, findings=tuple(replace(found, calibrated=0.21) for found in view.findings))
        for view in known.views
    ]
    site.ledger.readings[:] = [replace(known, views=tuple(views))]
    words = text_of(site.client.get(EXAM).text)
    assert "0.83 0.41 intermediate 0.21 – ipsi" in words
    assert "Probabilities hold at the prevalence of the exams" in words


def test_missing_and_failed_views_are_said(site: Site) -> None:
    """A view without an image and a view that could not be read are told apart, with the reason."""
    words = text_of(site.client.get(EXAM).text)
    assert "L-MLO – No image received" in words
    assert "L-CC – Could not be read: the JPEG stream ends early" in words
    assert "R-CC was taken as upright." in words


def test_every_image_that_is_not_read_says_why(site: Site) -> None:
    """An ineligible image has its reason code and the attribute that decided, a replaced one that it was replaced."""
    replaced = ImageSummary(decision="READ", because="", view=View.R_CC, superseded=True)
    site.change(images=(*site.ledger.summaries[0].images, replaced))
    words = text_of(site.client.get(EXAM).text)
    assert "IMPLANT – ImplantPresent (0028,1300) = YES" in words
    assert "REPLACED – The sender sent R-CC again" in words


def test_model_weights_and_operating_point_are_named(site: Site) -> None:
    """The page says which weights ran at which operating point and how long it took."""
    words = text_of(site.client.get(EXAM).text)
    assert "Operating point balanced" in words
    assert "mommi_detector 3, preset slim" in words
    assert "9f86d081884c , trained on CBIS-DDSM, synthetic phantoms (generator 1)" in words
    assert "decode 1.25 s, detect 3.50 s" in words
    assert "Segmenter unetpp_segmenter 5, preset slim" in words
    assert "Classifier mommi_classifier 4, preset slim" in words


def test_stages_that_did_not_run_are_said(site: Site) -> None:
    """Without segmenter and classifier the page explains the effect on outlines and grades."""
    site.ledger.readings[0] = replace(site.ledger.readings[0], segmenter=None, classifier=None)
    words = text_of(site.client.get(EXAM).text)
    assert "Segmenter none: findings keep the outline of the detector" in words
    assert "Classifier none: findings are not graded" in words


def test_the_page_says_whom_the_exam_was_sent_to(site: Site) -> None:
    """The called AE title, which says who reads an exam, stands beside the reading."""
    assert "Sent to TETRA_B" in text_of(site.client.get(EXAM).text)


def test_objects_show_where_they_went(site: Site) -> None:
    """Each object has kind, view and output, and at each destination its state, the attempts and the last answer."""
    words = text_of(site.client.get(EXAM).text)
    assert "SEG R-CC pacs Download north-pacs refused 4 0x0122 SOP class not supported" in words


def test_objects_that_nobody_is_owed_are_listed_too(site: Site) -> None:
    """Without a destination an object still stands on the page with its link."""
    page = site.client.get(EXAM).text
    assert "SR all full Download owed to nobody" in text_of(page)
    assert f"{EXAM}/1/objects/full/sr.dcm" in {a["href"] for a in tags_of(page, "a")}


def test_an_object_at_two_destinations_is_one_object(site: Site) -> None:
    """Two destinations of one object are two lines beside one link."""
    site.ledger.owed.append(replace(site.ledger.owed[0], destination="south-pacs", detail="0x0000 success"))
    page = site.client.get(EXAM).text
    words = text_of(page)
    assert "not supported south-pacs refused 4 0x0000 success" in words
    assert sum(a["href"].endswith("seg-R-CC.dcm") for a in tags_of(page, "a") if a["href"]) == 1


def test_marks_and_rows_of_a_lesion_name_it(site: Site) -> None:
    """Every mark and row says which lesion it shows, and can be reached and heard without a mouse."""
    page = site.client.get(EXAM).text
    marks = [g for g in tags_of(page, "g") if g["class"] == "mark"]
    assert [(mark["data-lesion"], mark["tabindex"], mark["role"]) for mark in marks] == [("L1", "0", "button")] * 2
    assert {mark["aria-label"] for mark in marks} == {
        "L1-CC, score 0.83",
        "L1-MLO, score 0.83, estimated suspicion intermediate",
    }
    assert [row["data-lesion"] for row in tags_of(page, "tr") if "data-lesion" in row] == ["L1", "L1"]


def test_a_reading_without_findings_names_the_operating_point(site: Site) -> None:
    """The absence of findings is stated in relation to the operating point, never as a negative result."""
    reading = site.ledger.readings[0]
    site.ledger.readings[0] = replace(reading, views=tuple(replace(view, findings=()) for view in reading.views))
    words = text_of(site.client.get(EXAM).text)
    assert "No mass candidate reached the operating point “balanced”." in words
    assert "Not searched, because it could not be read: L-CC." in words


def test_views_that_failed_never_look_like_views_without_findings(site: Site) -> None:
    """Where no view could be read, candidates are not mentioned; each failed view is named beside the findings."""
    reading = site.ledger.readings[0]
    views = tuple(replace(view, route=None, failure="damaged", findings=(), preview=None) for view in reading.views)
    site.ledger.readings[0] = replace(reading, views=views, model=None)
    words = text_of(site.client.get(EXAM).text)
    assert "No mass candidate" not in words
    assert "Not searched, because they could not be read: R-CC, R-MLO, L-CC." in words


def test_an_exam_before_its_reading_shows_what_has_come(site: Site) -> None:
    """While views are collected, each place says whether its image is there."""
    site.ledger.readings.clear()
    site.change(state=ExamState.COLLECTING, generation=0, findings=None)
    words = text_of(site.client.get(EXAM).text)
    assert "R-CC – Received, not read yet" in words
    assert "L-MLO – No image received" in words


def test_an_earlier_reading_stays_reachable(site: Site) -> None:
    """With a second reading, the page shows the newest and links both; each address shows its own."""
    site.ledger.readings.append(replace(site.ledger.readings[0], generation=2, operating_point="high_sensitivity"))
    site.change(generation=2)
    newest = site.client.get(EXAM).text
    assert "Operating point high_sensitivity" in text_of(newest)
    assert {f"{EXAM}/1", f"{EXAM}/2"} <= {a["href"] for a in tags_of(newest, "a")}
    assert "Operating point balanced" in text_of(site.client.get(f"{EXAM}/1").text)


def test_a_preview_that_is_gone_is_a_fault_of_its_own(site: Site) -> None:
    """A reading outlives its previews: the page says so and still lists the findings."""
    (site.results / "0f3ab2c4d5e6f708" / "1" / "R-CC.png").unlink()
    words = text_of(site.client.get(EXAM).text)
    assert "R-CC ipsi Read, but its preview is gone" in words
    assert "L1-CC R-CC 0.87 0.83" in words


@pytest.mark.parametrize("state", list(ExamState))
def test_a_page_follows_an_exam_until_it_ends(site: Site, state: ExamState) -> None:
    """The page of an exam under way renews itself, that of a finished one does not."""
    site.change(state=state)
    renews = 'http-equiv="refresh"' in site.client.get(EXAM).text
    assert renews == (state in {ExamState.COLLECTING, ExamState.READING, ExamState.DELIVERING})


def test_hostile_words_are_shown_and_not_obeyed(site: Site) -> None:
    """No page gains a tag or an attribute from words of a header, a peer or a model."""
    quiet = {path: _Tags(site.client.get(path).text).seen for path in ("/", EXAM)}
    image = site.ledger.summaries[0].images[3]
    site.change(
        detail=HOSTILE,
        called_ae_title=HOSTILE,
        images=(*site.ledger.summaries[0].images[:3], replace(image, because=HOSTILE, decision=HOSTILE)),
    )
    reading = site.ledger.readings[0]
    views = tuple(
        replace(
            view,
            failure=view.failure and HOSTILE,
            warnings=(HOSTILE,) * len(view.warnings),
            findings=tuple(replace(finding, label=HOSTILE) for finding in view.findings),
        )
        for view in reading.views
    )
    assert reading.model is not None
    model = replace(reading.model, name=HOSTILE, version=HOSTILE, data_sets=(HOSTILE,), weights_sha256=HOSTILE)
    site.ledger.readings[0] = replace(reading, views=views, model=model, operating_point=HOSTILE)
    site.ledger.owed[0] = replace(site.ledger.owed[0], destination=HOSTILE, detail=HOSTILE)
    for path, before in quiet.items():
        page = site.client.get(path).text
        assert page.count("&lt;script&gt;") > 1
        after = [(tag, set(attributes)) for tag, attributes in _Tags(page).seen]
        told = [("p", {"class"})] if path == EXAM else [("span", {"class"})]
        assert [seen for seen in after if seen[0] in {"script", "img"}] == [
            (tag, set(attributes)) for tag, attributes in before if tag in {"script", "img"}
        ]
        assert sorted(after, key=str) == sorted([(t, set(a)) for t, a in before] + told, key=str)


def test_a_delivery_is_of_one_output_only(site: Site) -> None:
    """Two outputs may hold the same object; each names the destinations that it was sent to, not those of the other."""
    owed = site.ledger.owed[0]
    other = replace(owed.result, path="other/a.dcm", output="other")
    shown = sent_objects(owed.exam_id, owed.generation, [owed.result, other], [owed])
    assert [[delivery.destination for delivery in sent.deliveries] for sent in shown] == [[owed.destination], []]
