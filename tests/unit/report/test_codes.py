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


def test_the_older_codes_are_those_of_the_standard() -> None:
    """Each code of SNOMED-RT style is that of its concept in the table of PS3.16 Annex O that pydicom holds."""
    assert {old.value: mapping["SRT"][old.value] for old in codes.SRT.values()} == {
        old.value: new for new, old in codes.SRT.items()
    }
    assert {old.scheme_designator for old in codes.SRT.values()} == {"SRT"}
