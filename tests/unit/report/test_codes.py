from __future__ import annotations

import pytest
from pydicom.sr._snomed_dict import mapping
from pydicom.sr.coding import Code

from tetraview.report import codes


def _all() -> list[Code]:
    named = [value for value in vars(codes).values() if isinstance(value, Code)]
    tabled = [code for value in vars(codes).values() if isinstance(value, dict) for code in value.values()]
    return named + [code for code in tabled if isinstance(code, Code)]


@pytest.mark.parametrize("code", _all(), ids=lambda code: code.value)
def test_every_code_can_be_written_in_any_repertoire(code: Code) -> None:
    """Value, scheme and meaning are ASCII and fit their value representations."""
    assert f"{code.value}{code.scheme_designator}{code.meaning}".isascii()
    assert len(code.value) <= 16
    assert len(code.scheme_designator) <= 16
    assert 0 < len(code.meaning) <= 64
    assert code.meaning == code.meaning.strip()


def test_no_concept_is_defined_twice() -> None:
    """One concept has one meaning, so that no two parts of a report can call it differently."""
    identities = [(code.scheme_designator, code.value) for code in _all()]
    assert len(identities) == len(set(identities))
    assert len(identities) > 50


def test_every_older_code_fits_its_value_representation_and_stands_for_one_concept() -> None:
    """The SNOMED-RT style values are ASCII of at most 16 characters, each for a single SNOMED CT concept."""
    assert all(value.isascii() and 0 < len(value) <= 16 for value in codes.SRT.values())
    assert all(value.isdigit() for value in codes.SRT)
    assert len(set(codes.SRT.values())) == len(codes.SRT)


def test_the_older_codes_are_those_of_pydicom() -> None:
    """The table agrees with the one that PS3.16 Annex O prescribes, as pydicom holds it."""
    assert {old: mapping["SRT"].get(old) for old in codes.SRT.values()} == {old: new for new, old in codes.SRT.items()}
