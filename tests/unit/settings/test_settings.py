from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import BaseModel

from tetraview.domain.output import OUTPUTS, CodingScheme
from tetraview.errors import SettingsInvalid
from tetraview.settings import Destination, Images, Settings, Stages, load_settings
from tetraview.settings.text import settings_text


def test_the_environment_beats_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A value in the environment replaces the file's, and the file's replaces the default."""
    file = tmp_path / "tetraview.toml"
    file.write_text('[dicom]\nport = 104\nae_title = "READER"\n')
    monkeypatch.setenv("TETRAVIEW_DICOM__PORT", "11113")
    settings = load_settings(file)
    assert (settings.dicom.port, settings.dicom.ae_title) == (11113, "READER")


def test_the_data_folder_lies_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder in a file is found from any working directory; one in the environment is taken as it is."""
    file = tmp_path / "etc" / "tetraview.toml"
    file.parent.mkdir()
    file.write_text('data_dir = "data"\n')
    monkeypatch.chdir(tmp_path)
    assert load_settings(Path("etc/tetraview.toml")).data_dir == tmp_path / "etc" / "data"
    file.write_text('data_dir = "/srv/data"\n')
    assert load_settings(file).data_dir == Path("/srv/data")
    monkeypatch.setenv("TETRAVIEW_DATA_DIR", "elsewhere")
    assert load_settings(file).data_dir == Path("elsewhere")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[dicom]\nprot = 104\n", r"dicom\.prot: unknown key, did you mean port\?"),
        ("colour = 1\n", "colour: unknown key: `tetraview config` prints"),
        ('[worklist]\nurll = "http://h"\n', r"worklist\.urll: unknown key, did you mean url\?"),
        ('[[destinations]]\nname = "pacs"\nport = 65536\n', r"destinations\.pacs\.port: "),
        ('[[destinations]]\nname = "pacs"\nae_titel = "P"\n', r"destinations\.pacs\.ae_titel: .* mean ae_title"),
        ('[[destinations]]\nname = "pacs"\nae_title = "P"\n', r"destinations\.pacs: add ae_title, host and port"),
        ("destinations = 1\n", "destinations: "),
        ('[dicom]\nae_title = "FAR TOO LONG A TITLE"\n', "dicom.ae_title"),
        ("[completeness]\nquiet_seconds = 0\n", "completeness.quiet_seconds"),
        ('database_url = "postgres://pacs"\n', "database_url"),
        ("[dicom\n", "tetraview.toml"),
        ('[[profiles]]\nae_title = "TETRA_B"\ncolour = "red"\n', r"profiles\.TETRA_B\.colour"),
        ('[[profiles]]\ndetector = "yolo_msp_detector"\n', r"profiles\.0\.ae_title"),
        (2 * '[[profiles]]\nae_title = "TETRA_B"\n', "profiles: .* TETRA_B"),
        ('[[profiles]]\nae_title = "TETRAVIEW"\n', "profiles: .* TETRAVIEW"),
        (
            '[report]\nemit_birads = true\n[[profiles]]\nae_title = "TETRA_B"\nclassifier = "none"\n',
            "classifier of TETRA_B is none",
        ),
        (2 * '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "h"\nport = 104\n', "destinations: .* pacs"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, named: str) -> None:
    """An unknown key, a value out of bounds or broken TOML is one sentence that names where."""
    file = tmp_path / "tetraview.toml"
    file.write_text(text)
    with pytest.raises(SettingsInvalid, match=named):
        load_settings(file)


def test_a_profile_changes_what_it_names(tmp_path: Path) -> None:
    """An exam for a profile's AE title is read by the profile's models and, where it names none, by the usual ones."""
    file = tmp_path / "tetraview.toml"
    file.write_text(
        '[triton]\nsegmenter = "rescunet"\n[[profiles]]\nae_title = "TETRA_B"\ndetector = "yolo_msp_detector"\n'
    )
    settings = load_settings(file)
    assert settings.called_ae_titles == ("TETRAVIEW", "TETRA_B")
    assert settings.stages_of("TETRAVIEW") == Stages(segmenter="rescunet")
    assert settings.stages_of("TETRA_B") == Stages(detector="yolo_msp_detector", segmenter="rescunet")


def test_a_profile_says_which_images_are_read_there(tmp_path: Path) -> None:
    """Each AE title of ours may read other images; options that its profile leaves out are as in `[images]`."""
    file = tmp_path / "tetraview.toml"
    file.write_text(
        '[images]\nlossy = "reject"\ndevices = ["GE*/*"]\n'
        '[[profiles]]\nae_title = "TETRA_B"\nimplants = "read"\ndevices = []\npurpose = "screening"\n'
    )
    settings = load_settings(file)
    usual = Images(lossy="reject", devices=("GE*/*",))
    assert settings.images_of("TETRAVIEW") == usual
    assert settings.images_of("TETRA_B") == Images(lossy="reject", implants="read", purpose="screening")
    assert settings.images_of("NO_LONGER_OURS") == usual


def test_what_was_sent_to_a_profile_that_is_gone_is_not_read_by_another() -> None:
    """An AE title that no profile has any more is an error that says what to do; it is not read by the usual models."""
    with pytest.raises(SettingsInvalid, match="AE title TETRA_B: add one"):
        load_settings().stages_of("TETRA_B")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A missing settings file is an error and does not mean the defaults."""
    with pytest.raises(SettingsInvalid, match=r"absent\.toml"):
        load_settings(tmp_path / "absent.toml")


def test_printed_settings_read_back(tmp_path: Path) -> None:
    """The output of `tetraview config` is a settings file with the same meaning."""
    file = tmp_path / "tetraview.toml"
    file.write_text(
        'data_dir = "data"\n[[profiles]]\nae_title = "TETRA_B"\nclassifier = "none"\n'
        '[[outputs]]\nname = "own"\nobjects = ["CAD SR", "PR"]\ncoding_scheme = "SRT"\nemit_birads = false\n'
        '[[destinations]]\nname = "pacs"\noutput = "own"\nae_title = "PACS"\nhost = "10.0.0.5"\nport = 104\n'
    )
    settings = load_settings(file)
    (tmp_path / "printed.toml").write_text(settings_text(settings))
    assert load_settings(tmp_path / "printed.toml").model_dump() == settings.model_dump()


def test_sections_that_may_be_added_are_printed_as_examples(tmp_path: Path) -> None:
    """With its comment signs taken away, and required values filled in, an example is a section like any other."""
    lines = settings_text(load_settings()).splitlines()
    lines = lines[lines.index("# [[destinations]]") :]
    example = [line.removeprefix("# ") for line in lines[: lines.index("")]]
    values = {"name": '"north"', "ae_title": '"PACS"', "host": '"10.0.0.5"', "port": "104"}
    file = tmp_path / "tetraview.toml"
    keys = [line.partition(" =")[0] for line in example]
    filled = [f"{key} = {values[key]}" if key in values else line for key, line in zip(keys, example, strict=True)]
    file.write_text("\n".join(filled))
    (destination,) = load_settings(file).destinations
    assert destination == Destination(name="north", ae_title="PACS", host="10.0.0.5", port=104)


def test_choices_are_printed() -> None:
    """A setting that can only have certain values names them."""
    printed = settings_text(load_settings())
    assert 'One of "mommi_detector", "yolo_msp_detector".' in printed
    assert 'A list of any of "SEG", "SR", "CAD SR", "PR", "SC".' in printed


def with_outputs(tmp_path: Path, *lines: str) -> Settings:
    """Settings with sections about outputs and destinations."""
    address = 'ae_title = "PACS"\nhost = "h"\nport = 104\n'
    file = tmp_path / "tetraview.toml"
    file.write_text("\n".join(line.replace("ADDRESS", address) for line in lines))
    return load_settings(file)


def test_each_destination_gets_the_objects_of_its_output_profile(tmp_path: Path) -> None:
    """A custom profile is like a built-in one except for its own values; each profile in use is written once."""
    settings = with_outputs(
        tmp_path,
        "[report]\nemit_malignancy = false",
        '[[outputs]]\nname = "old"\nlike = "workstation"\ncoding_scheme = "SRT"\nemit_malignancy = true',
        '[[destinations]]\nname = "a"\noutput = "old"\nADDRESS',
        '[[destinations]]\nname = "b"\noutput = "ohif"\nADDRESS',
        '[[destinations]]\nname = "c"\noutput = "ohif"\nADDRESS',
    )
    old, ohif = settings.outputs_in_use
    assert old == replace(OUTPUTS["workstation"], name="old", coding_scheme=CodingScheme.SRT)
    assert ohif == replace(OUTPUTS["ohif"], emit_malignancy=False)


def test_without_a_destination_the_default_profile_is_written() -> None:
    """Results then stay in the data folder, every readable kind of them."""
    assert [output.name for output in load_settings().outputs_in_use] == ["pacs"]


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (['[[destinations]]\nname = "a"\noutput = "ohfi"\nADDRESS'], "a: no output profile is called ohfi"),
        (['[[outputs]]\nname = "ohif"'], "more than one output profile, built-in ones included, has the name ohif"),
        (['[[outputs]]\nname = "own"\nobjects = []'], "objects"),
        (['[[outputs]]\nname = "own"\nobjects = ["SEG", "SEG"]'], "objects of own name SEG more than once"),
        (['[[outputs]]\nname = "own"\nobjects = ["RTSTRUCT"]'], "objects"),
        (['[report]\ntime_zone = "Mars/Olympus"'], "no time zone is called Mars/Olympus"),
        (
            [
                '[triton]\nclassifier = "dualcore"',
                '[[outputs]]\nname = "own"\nemit_birads = true',
                '[[destinations]]\nname = "a"\noutput = "own"\nADDRESS',
            ],
            "emit_birads needs a classifier",
        ),
    ],
)
def test_outputs_that_cannot_be_are_refused(tmp_path: Path, lines: list[str], reason: str) -> None:
    """A mistake about outputs is an error at the start that names it."""
    with pytest.raises(SettingsInvalid, match=reason):
        with_outputs(tmp_path, *lines)


def test_an_output_or_destination_that_is_not_there_is_named() -> None:
    """A missing output or destination named on the command line is an error that lists the known ones."""
    with pytest.raises(SettingsInvalid, match="no output profile is called x: choose one of pacs, workstation"):
        load_settings().output("x")
    with pytest.raises(SettingsInvalid, match="no destination is called x"):
        load_settings().destination("x")


def test_a_password_is_not_printed() -> None:
    """The output of `tetraview config` has a database's URL without its password."""
    url = "postgresql+psycopg://reader:s3cret@db:5432/tetraview"
    printed = settings_text(Settings.model_construct(**{**dict(load_settings()), "database_url": url}))
    assert "postgresql+psycopg://reader:***@db:5432/tetraview" in printed


#: Settings that are sections, described as such.
SECTIONS = {"destinations", "outputs", "profiles", "senders", "traces", "worklist"}


def _described(section: type[BaseModel]) -> list[str]:
    missing = []
    for name, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            missing += _described(field.annotation)
        elif not field.description and name not in SECTIONS:
            missing.append(f"{section.__name__}.{name}")
    return missing


def test_every_setting_is_documented() -> None:
    """Every setting has a sentence about its effect."""
    assert _described(Settings) == []


def test_the_models_to_load_are_those_of_every_ae_title(tmp_path: Path) -> None:
    """Each model that some AE title uses is named once; `none` is no model."""
    path = tmp_path / "tetraview.toml"
    path.write_text(
        '[triton]\nsegmenter = "dualcore"\nclassifier = "dualcore"\n\n'
        '[[profiles]]\nae_title = "B"\ndetector = "yolo_msp_detector"\nsegmenter = "none"\n'
    )
    assert load_settings(path).model_names == ("mommi_detector", "dualcore", "yolo_msp_detector")


def test_a_worklist_reads_as_one_of_our_ae_titles(tmp_path: Path) -> None:
    """A worklist whose exams are to be read as an AE title that nobody has is an error that names those we have."""
    path = tmp_path / "tetraview.toml"
    path.write_text('[worklist]\nurl = "http://127.0.0.1:8080/ups"\nae_title = "TETRA_B"\n')
    with pytest.raises(SettingsInvalid, match="TETRA_B is none of ours: choose TETRAVIEW"):
        load_settings(path)


@pytest.mark.parametrize(
    "line",
    [
        'url = "ftp://host"',
        'url = "http://user:secret@host/"',
        'url = "http://host/?key=1"',
        'station_name = "ONLY"',
        'token_file = "token"',
    ],
)
def test_a_worklist_that_cannot_be_is_refused(tmp_path: Path, line: str) -> None:
    """The address is http or https without credentials and query, a token is encrypted, and codes are CODE^SCHEME."""
    path = tmp_path / "tetraview.toml"
    first = "" if line.startswith("url") else 'url = "http://host"'
    path.write_text(f"[worklist]\n{first}\n{line}\n")
    with pytest.raises(SettingsInvalid, match="worklist"):
        load_settings(path)


def test_the_url_of_the_database_may_be_a_secret_file(tmp_path: Path) -> None:
    """The file is read when it is needed; one that is missing or holds something else is named."""
    secret = tmp_path / "url"
    settings = Settings.model_construct(database_url_file=secret)
    with pytest.raises(SettingsInvalid, match="cannot be read"):
        _ = settings.postgresql_url
    secret.write_text("postgres://reader:secret@db/tetraview\n")
    with pytest.raises(SettingsInvalid, match="does not begin with") as told:
        _ = settings.postgresql_url
    assert "secret@" not in str(told.value)
    secret.write_text("postgresql+psycopg://reader:secret@db/tetraview\n")
    assert settings.postgresql_url == "postgresql+psycopg://reader:secret@db/tetraview"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('role = "worker"\n', "role worker .* PostgreSQL"),
        ('database_url = "postgresql+psycopg://db/t"\ndatabase_url_file = "/run/url"\n', "keep one"),
        ('executor_id = "../worker"\n', "executor_id"),
    ],
)
def test_halves_need_what_they_share(tmp_path: Path, text: str, named: str) -> None:
    """Settings that would let a half work on its own, or under a name that is no file's, are refused."""
    file = tmp_path / "tetraview.toml"
    file.write_text(text)
    with pytest.raises(SettingsInvalid, match=named):
        load_settings(file)
