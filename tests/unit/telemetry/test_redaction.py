"""The keyed hash of everything that is not known to be harmless."""

from __future__ import annotations

import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetraview.domain.exam import ExamState
from tetraview.errors import StorageUnavailable
from tetraview.telemetry.redaction import HARMLESS, Redaction, load_key

REDACTION = Redaction(b"k" * 32)


@given(st.dictionaries(st.text(min_size=1).filter(lambda f: f not in HARMLESS), st.just("ZZCANARY^JANE")))
def test_an_unknown_field_is_never_shown(event: dict[str, str]) -> None:
    """A field's value appears only if the field is declared harmless, whatever its name."""
    assert "ZZCANARY" not in str(list(REDACTION(None, "info", event).values()))


def test_the_same_value_has_the_same_hash() -> None:
    """Events about one image can be found by their hash, and other images have other hashes."""
    assert REDACTION.hashed("1.2.840.1") == REDACTION.hashed("1.2.840.1")
    assert REDACTION.hashed("1.2.840.1") != REDACTION.hashed("1.2.840.2")


def test_a_hash_cannot_be_made_without_the_key() -> None:
    """Two installations hash one value differently."""
    assert REDACTION.hashed("1.2.840.1") != Redaction(b"l" * 32).hashed("1.2.840.1")


def test_harmless_values_become_plain() -> None:
    """Enumerations, paths and tuples of a harmless field are written as JSON knows them."""
    event = REDACTION(None, "info", {"state": ExamState.DONE, "views": ("L-CC", "R-CC"), "decode_seconds": 0.25})
    assert event == {"state": "done", "views": ["L-CC", "R-CC"], "decode_seconds": 0.25}


def test_an_object_in_a_harmless_field_shows_its_type_only() -> None:
    """An object that would be written by its repr, which may quote anything, is reduced to its type."""

    class Loud:
        def __repr__(self) -> str:
            return "ZZCANARY"

    assert REDACTION(None, "info", {"detail": Loud(), "count": {"a": Loud()}}) == {"detail": "Loud", "count": "dict"}


def test_the_key_outlives_a_restart(tmp_path: Path) -> None:
    """The key is made once, is readable by its owner only, and is the same ever after."""
    path = tmp_path / "log.key"
    key = load_key(path)
    assert len(key) == 32
    assert load_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_half_written_key_is_refused(tmp_path: Path) -> None:
    """A key file cut short by a crash is named together with what to do."""
    path = tmp_path / "log.key"
    path.write_bytes(b"short")
    with pytest.raises(StorageUnavailable, match="delete it"):
        load_key(path)


def test_a_folder_that_is_away_is_named(tmp_path: Path) -> None:
    """Where the key cannot be written, the message names the file."""
    with pytest.raises(StorageUnavailable, match=r"absent.log\.key"):
        load_key(tmp_path / "absent" / "log.key")


def test_services_that_start_at_once_share_a_key(tmp_path: Path) -> None:
    """All services that share the folder have the same key, whichever makes it, and nothing else is left there."""
    path, keys = tmp_path / "log.key", list[bytes]()
    starts = [threading.Thread(target=lambda: keys.append(load_key(path))) for _ in range(8)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert keys == [path.read_bytes()] * 8
    assert [left.name for left in tmp_path.iterdir()] == ["log.key"]
