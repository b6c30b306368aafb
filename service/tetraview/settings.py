"""All settings: one frozen tree from a TOML file and the environment.

The file is named by ``TETRAVIEW_CONFIG`` or ``--config``; any value can be overridden by an environment variable such
as ``TETRAVIEW_DICOM__PORT=11112``. Unknown keys in the file are errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import available_timezones

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from tetraview.domain.delivery import ResultKind
from tetraview.domain.output import (
    DEFAULT_OUTPUT,
    OUTPUTS,
    CodingScheme,
    Output,
    ReportClass,
    SegmentationGeometry,
    TrackingScope,
)
from tetraview.errors import SettingsInvalid

AETitle = Annotated[str, Field(pattern=r"^[!-~]([ -~]{0,14}[!-~])?$", max_length=16)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0)]
ShortName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Dicom(_Section):
    """The C-STORE listener."""

    ae_title: AETitle = "TETRAVIEW"
    """Our AE title; associations that call neither this nor that of a profile are rejected."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 11112
    """Port to listen on; 0 takes a free one."""
    calling_ae_titles: tuple[AETitle, ...] = ()
    """AE titles that may send; empty allows every sender."""
    max_associations: Annotated[int, Field(ge=1)] = 50
    """Associations served at the same time; more are told to try later."""
    pdu_seconds: Seconds = 15.0
    """Longest time one PDU may take to arrive, so that a stalled sender frees its place."""
    idle_seconds: Seconds = 60.0
    """Longest silence within an association."""
    max_pdu_bytes: Bytes = 131072
    """PDU size offered to senders and enforced on receipt."""
    max_object_bytes: Bytes = 1 << 30
    """Largest data set accepted."""


class Completeness(_Section):
    """When an exam is read."""

    quiet_seconds: Seconds = 20.0
    """Silence after the last image before an exam with all four views is read."""
    timeout_seconds: Seconds = 300.0
    """Silence after the last image before an exam with missing views is read as it is."""


DetectorName = Literal["mommi_detector", "yolo_msp_detector"]
SegmenterName = Literal["unetpp_segmenter", "crunet_segmenter", "dualcore", "rescunet", "none"]
ClassifierName = Literal["mommi_classifier", "dualcore", "rescunet", "none"]


class Stages(_Section):
    """The Triton models that read an exam, one a stage."""

    detector: DetectorName = "mommi_detector"
    """Triton model that finds masses."""
    segmenter: SegmenterName = "unetpp_segmenter"
    """Triton model that outlines them, or `none`: findings then keep the detector's coarse outline."""
    classifier: ClassifierName = "mommi_classifier"
    """Triton model that grades them, or `none`; only `mommi_classifier` also estimates the suspicion level."""

    @property
    def of_patches(self) -> tuple[str, ...]:
        """Segmenter and classifier, as far as there are any; a model that is both stands there once."""
        return tuple(dict.fromkeys(name for name in (self.segmenter, self.classifier) if name != "none"))

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once."""
        return self.detector, *self.of_patches

    @property
    def grade_birads(self) -> bool:
        """Whether findings get a BI-RADS score."""
        return self.classifier == "mommi_classifier"


class Triton(Stages):
    """NVIDIA Triton Inference Server and the models that it is asked for."""

    url: str = "127.0.0.1:8001"
    """gRPC address, host:port."""
    deadline_seconds: Seconds = 60.0
    """Longest time one exam's request may take."""

    @property
    def stages(self) -> Stages:
        """The models that read an exam unless something else is said for it."""
        return Stages(detector=self.detector, segmenter=self.segmenter, classifier=self.classifier)


class Profile(_Section):
    """A further AE title of ours: what is sent to it is read by models of its own."""

    ae_title: AETitle
    """AE title that is called."""
    detector: DetectorName | None = None
    """Triton model that finds masses; unset, that of `triton`."""
    segmenter: SegmenterName | None = None
    """Triton model that outlines them, or `none`; unset, that of `triton`."""
    classifier: ClassifierName | None = None
    """Triton model that grades them, or `none`; unset, that of `triton`."""


class Imaging(_Section):
    """Limits of the child process that decodes one image."""

    memory_bytes: Bytes = 2 << 30
    """Address space of the child."""
    cpu_seconds: Annotated[int, Field(ge=1)] = 30
    """Processor time of the child."""
    wall_seconds: Seconds = 60.0
    """Longest wall time of the child."""
    max_pixels: Annotated[int, Field(ge=1)] = 100_000_000
    """Largest Rows times Columns."""


class Report(_Section):
    """What the results say, whoever gets them."""

    operating_point: Literal["high_sensitivity", "balanced", "high_specificity"] = "balanced"
    """Named thresholds stored with the weights."""
    emit_malignancy: bool = True
    """Write malignancy score and estimated suspicion level of every finding into the report."""
    emit_birads: bool = False
    """Write the BI-RADS category nearest to the classifier's estimate; never an assessment of the patient."""
    emit_probability: bool = False
    """Show calibrated scores as probabilities; needs weights that were calibrated for every route."""
    time_zone: Annotated[str, Field(pattern=r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}$")] | None = None
    """Zone of the site, for example Europe/Berlin, for studies that state none; unset, that of this machine."""

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, name: str | None) -> str | None:
        if name is not None and name not in available_timezones():
            raise ValueError(f"no time zone is called {name}: write it as Europe/Berlin or UTC")
        return name


class OutputProfile(_Section):
    """An output profile of your own: like a built-in one but for what is set here."""

    name: ShortName
    """Name that destinations refer to."""
    like: Literal["pacs", "workstation", "ohif", "slicer", "air"] = "pacs"
    """Built-in profile that says what is not set here."""
    objects: Annotated[tuple[ResultKind, ...], Field(min_length=1)] | None = None
    """Kinds of objects: SR is TID 1500, PR a presentation state, SC a picture with the outlines burned in."""
    report_class: ReportClass | None = None
    """SOP Class of the SR; IHE AI Results asks for 3D."""
    seg_geometry: SegmentationGeometry | None = None
    """Plane groups of the SEG: `none` is strictly right, `orientation_only` suits OHIF, `synthetic_plane` Slicer."""
    coding_scheme: CodingScheme | None = None
    """Codes of the CAD SR; `SRT` is for workstations that know SNOMED-RT only."""
    tracking_scope: TrackingScope | None = None
    """What has a Tracking UID of its own: a finding in each view, or a lesion in all views."""
    emit_malignancy: bool | None = None
    """As in `report`, for this profile."""
    emit_birads: bool | None = None
    """As in `report`, for this profile."""
    emit_probability: bool | None = None
    """As in `report`, for this profile."""


class Destination(_Section):
    """A PACS that receives the results."""

    name: ShortName
    """Short name, shown in logs and metrics."""
    output: ShortName = DEFAULT_OUTPUT
    """Output profile, what it gets: pacs, workstation, ohif, slicer, air or one of `[[outputs]]`."""
    ae_title: AETitle
    """AE title that is called."""
    host: str
    """Host name or address."""
    port: Annotated[int, Field(ge=1, le=65535)]
    """DICOM port."""
    connect_seconds: Seconds = 5.0
    """Longest time to connect and associate."""
    response_seconds: Seconds = 30.0
    """Longest time until the answer to one C-STORE."""
    retry_seconds: Seconds = 30.0
    """Pause after the first failed try; doubled up to an hour."""
    retry_hours: Annotated[float, Field(gt=0)] = 72.0
    """How long delivery is tried before the object becomes a dead letter."""


class Web(_Section):
    """Health, metrics and the exam page."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8080
    """Port to listen on; 0 takes a free one."""


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix="TETRAVIEW_",
        env_nested_delimiter="__",
        use_attribute_docstrings=True,
    )

    data_dir: Path = Path("tetraview-data")
    """Folder of the spool, the results and (with SQLite) the databases; keep it on a durable volume."""
    database_url: Annotated[str, Field(pattern=r"^postgresql\+psycopg://")] | None = None
    """SQLAlchemy URL of PostgreSQL, postgresql+psycopg://…; without it two SQLite files in `data_dir`."""
    executor_id: Annotated[str, Field(min_length=1)] = "tetraview"
    """Name of this service among several on one database; a restart under the same name continues its work."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""
    dicom: Dicom = Dicom()
    completeness: Completeness = Completeness()
    triton: Triton = Triton()
    profiles: tuple[Profile, ...] = ()
    imaging: Imaging = Imaging()
    report: Report = Report()
    web: Web = Web()
    outputs: tuple[OutputProfile, ...] = ()
    destinations: tuple[Destination, ...] = ()

    @property
    def called_ae_titles(self) -> tuple[str, ...]:
        """Every AE title of ours, the default first."""
        return (self.dicom.ae_title, *(profile.ae_title for profile in self.profiles))

    @property
    def model_names(self) -> tuple[str, ...]:
        """Every Triton model that reads what is sent to us, each once."""
        read_by = (self.stages_of(ae_title).names for ae_title in self.called_ae_titles)
        return tuple(dict.fromkeys(name for names in read_by for name in names))

    @property
    def outputs_in_use(self) -> tuple[Output, ...]:
        """The output profiles of all destinations, each once; without any destination the default one."""
        names = [destination.output for destination in self.destinations] or [DEFAULT_OUTPUT]
        return tuple(self.output(name) for name in dict.fromkeys(names))

    @property
    def emits_probability(self) -> bool:
        """Whether any result shows a calibrated score as a probability."""
        return any(output.emit_probability for output in self.outputs_in_use)

    def output(self, name: str) -> Output:
        """The output profile of a name.

        Raises:
            SettingsInvalid: there is none.
        """
        said = self.report.model_dump(include={"emit_malignancy", "emit_birads", "emit_probability"})
        if name in OUTPUTS:
            return replace(OUTPUTS[name], **said)
        for profile in self.outputs:
            if profile.name == name:
                own = profile.model_dump(exclude={"like"}, exclude_none=True)
                return replace(OUTPUTS[profile.like], **(said | own))
        known = ", ".join([*OUTPUTS, *(profile.name for profile in self.outputs)])
        raise SettingsInvalid(f"no output profile is called {name}: choose one of {known}, or add it to [[outputs]]")

    def destination(self, name: str) -> Destination:
        """The destination of a name.

        Raises:
            SettingsInvalid: there is none.
        """
        for destination in self.destinations:
            if destination.name == name:
                return destination
        known = ", ".join(destination.name for destination in self.destinations) or "none is set"
        raise SettingsInvalid(f"no destination is called {name}: add it to [[destinations]] ({known})")

    def stages_of(self, ae_title: str) -> Stages:
        """The models that read what is sent to one of our AE titles.

        Raises:
            SettingsInvalid: it is none of ours, or is no longer.
        """
        if ae_title == self.dicom.ae_title:
            return self.triton.stages
        for profile in self.profiles:
            if profile.ae_title == ae_title:
                return self.triton.stages.model_copy(update=profile.model_dump(exclude={"ae_title"}, exclude_none=True))
        raise SettingsInvalid(
            f"no profile of the settings has the AE title {ae_title}: add one, and send again what was sent to it"
        )

    @field_validator("profiles")
    @classmethod
    def _ae_titles_differ(cls, profiles: tuple[Profile, ...], info: ValidationInfo) -> tuple[Profile, ...]:
        """The called AE title says who reads an exam: it cannot say two things."""
        dicom = info.data.get("dicom")
        titles = [profile.ae_title for profile in profiles] + ([dicom.ae_title] if dicom else [])
        twice = _twice(titles)
        if twice:
            raise ValueError(f"more than one profile, or one and dicom.ae_title, is named {twice}")
        return profiles

    @field_validator("outputs")
    @classmethod
    def _outputs_differ(cls, outputs: tuple[OutputProfile, ...]) -> tuple[OutputProfile, ...]:
        twice = _twice([*OUTPUTS, *(output.name for output in outputs)])
        if twice:
            raise ValueError(f"more than one output profile, built-in ones included, has the name {twice}")
        for output in outputs:
            if again := _twice(output.objects or ()):
                raise ValueError(f"objects of {output.name} name {again} more than once")
        return outputs

    @field_validator("destinations")
    @classmethod
    def _destinations_differ(
        cls, destinations: tuple[Destination, ...], info: ValidationInfo
    ) -> tuple[Destination, ...]:
        """Deliveries are kept by the destination's name: two of one name would be one."""
        twice = _twice([destination.name for destination in destinations])
        if twice:
            raise ValueError(f"more than one destination has the name {twice}")
        # Where the outputs are wrong themselves, that is complained about.
        known = [*OUTPUTS, *(output.name for output in info.data.get("outputs", ()))]
        for destination in destinations if "outputs" in info.data else ():
            if destination.output not in known:
                named = f"{destination.name}: no output profile is called {destination.output}"
                raise ValueError(f"{named}: choose one of {', '.join(known)}, or add it to [[outputs]]")
        return destinations

    @model_validator(mode="after")
    def _birads_needs_a_classifier(self) -> Self:
        for ae_title in self.called_ae_titles:
            stages = self.stages_of(ae_title)
            if not stages.grade_birads and any(output.emit_birads for output in self.outputs_in_use):
                raise ValueError(
                    f"emit_birads needs a classifier that grades by BI-RADS, and the classifier of {ae_title} is "
                    f"{stages.classifier}: name mommi_classifier there, or set it to false in [report] and [[outputs]]"
                )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of precedence: environment over the TOML file over the defaults."""
        del init_settings, dotenv_settings, file_secret_settings
        return env_settings, TomlConfigSettingsSource(settings_cls)


def _twice(names: Sequence[str]) -> str:
    """The names that stand more than once, in words."""
    return ", ".join(sorted({name for name in names if names.count(name) > 1}))


def load_settings(path: Path | None = None) -> Settings:
    """Settings from a TOML file (or none) and the environment.

    Raises:
        SettingsInvalid: the file is missing or a value is not usable; the message names key and reason.
    """
    if path is not None and not path.is_file():
        raise SettingsInvalid(f"no settings file at {path}")

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=path)

    try:
        return _FromFile()
    except ValidationError as error:
        faults = [": ".join(filter(None, (".".join(map(str, fault["loc"])), fault["msg"]))) for fault in error.errors()]
        raise SettingsInvalid("settings: " + "; ".join(faults)) from error
    except ValueError as error:
        raise SettingsInvalid(f"settings file {path}: {error}") from error
