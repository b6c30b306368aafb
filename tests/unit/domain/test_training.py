"""Statements about the training of weights."""

from __future__ import annotations

import pytest

from tetraview.domain.training import (
    PHANTOMS,
    UNNAMED,
    Role,
    TrainingData,
    data_sets_of,
    phantoms,
    trained_on,
    training_sentence,
)

CBIS = TrainingData(name="CBIS-DDSM", licence="CC BY 3.0", citation="Lee 2017", images=1054, patients=594)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ([], ""),
        ([PHANTOMS], "Weights trained on synthetic images only."),
        ([PHANTOMS, PHANTOMS], "Weights trained on synthetic images only."),
        (["CBIS-DDSM"], "Weights trained on CBIS-DDSM."),
        ([PHANTOMS, "CDD-CESM", "CBIS-DDSM"], "Weights trained on CBIS-DDSM, CDD-CESM and synthetic phantoms."),
        ([UNNAMED, PHANTOMS], "Weights trained on synthetic phantoms and unnamed data."),
        ([UNNAMED], "Weights trained on unnamed data."),
    ],
)
def test_one_sentence_is_made_of_all_names(names: list[str], sentence: str) -> None:
    """Real data by name first, whatever the order; phantoms alone are called synthetic images only."""
    assert training_sentence(names) == sentence


def test_data_that_only_chose_thresholds_was_not_trained_on() -> None:
    """The sentence is about the data that weights were fitted to."""
    assert trained_on([CBIS, phantoms(5, role=Role.VALIDATION)]) == ("CBIS-DDSM",)
    assert trained_on([]) == (UNNAMED,)


@pytest.mark.parametrize(
    "stored",
    [
        {"training_data": 7},
        {"training_data": ["CBIS-DDSM"]},
        {"training_data": [{"name": "CBIS-DDSM"}]},
        {"training_data": [{"name": "", "licence": "", "citation": "", "images": 1, "patients": 1}]},
        {"training_data": [{"name": "a", "licence": "", "citation": "", "images": -1, "patients": 1}]},
        {"training_data": [{"name": "a", "licence": "", "citation": "", "images": 1, "patients": 1, "role": "b"}]},
        {"training_data": [{"name": "a", "licence": "", "citation": "", "images": 1, "patients": 1, "more": 1}]},
    ],
)
def test_a_card_that_does_not_describe_data_sets_is_refused(stored: dict[str, object]) -> None:
    """A model's answer is not trusted: one that does not describe data sets is refused as such."""
    with pytest.raises(ValueError, match=r"data set|numbers|Role"):
        data_sets_of(stored)


def test_an_older_card_with_words_of_its_own_names_nothing() -> None:
    """Only the wording of our own older cards stands for phantoms."""
    assert data_sets_of({"training_data": "synthetic phantom", "training": {"exams": 3}}) == (phantoms(3),)
    assert data_sets_of({"training_data": "somebody's images"}) == ()
    assert data_sets_of({}) == ()
