"""The whole tree, and how it is loaded."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from tetraview.domain.output import DEFAULT_OUTPUT, OUTPUTS, Output
from tetraview.errors import SettingsInvalid
from tetraview.settings.completeness import Completeness, Requires
from tetraview.settings.destination import Destination
from tetraview.settings.dicom import Dicom
from tetraview.settings.faults import faults_in
from tetraview.settings.images import Images
from tetraview.settings.imaging import Imaging
from tetraview.settings.profile import Profile
from tetraview.settings.report import OutputProfile, Report
from tetraview.settings.senders import Sender
from tetraview.settings.traces import Traces
from tetraview.settings.triton import Stages, Triton
from tetraview.settings.web import Web
from tetraview.settings.worklist import Worklist

#: How the URL of a database that several services can share begins.
POSTGRESQL = "postgresql+psycopg://"
Role = Literal["all", "listener", "worker"]
#: Names a folder and a row, and so may a pod.
ExecutorId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]


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
    """Folder of spool, results and (with SQLite) databases, on a durable volume; in a file relative to its folder."""
    database_url: Annotated[str, Field(pattern=rf"^{re.escape(POSTGRESQL)}")] | None = None
    """SQLAlchemy URL of PostgreSQL, postgresql+psycopg://…; without it two SQLite files in `data_dir`."""
    database_url_file: Path | None = None
    """File that holds `database_url`, such as a mounted secret."""
    role: Role = "all"
    """Half of the work that is done here, where several share one PostgreSQL and `data_dir`: receiving or reading."""
    executor_id: ExecutorId = "tetraview"
    """Name of this service among several on one database; a restart under the same name continues its work."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""
    dicom: Dicom = Dicom()
    completeness: Completeness = Completeness()
    triton: Triton = Triton()
    senders: tuple[Sender, ...] = ()
    profiles: tuple[Profile, ...] = ()
    images: Images = Images()
    imaging: Imaging = Imaging()
    report: Report = Report()
    web: Web = Web()
    worklist: Worklist | None = None
    traces: Traces | None = None
    outputs: tuple[OutputProfile, ...] = ()
    destinations: tuple[Destination, ...] = ()

    @property
    def postgresql_url(self) -> str | None:
        """SQLAlchemy URL of PostgreSQL; None where SQLite files are used.

        Raises:
            SettingsInvalid: `database_url_file` cannot be read, or holds something else.
        """
        if self.database_url_file is None:
            return self.database_url
        try:
            url = self.database_url_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsInvalid(f"database_url_file {self.database_url_file} cannot be read: {error}") from error
        if not url.startswith(POSTGRESQL):
            raise SettingsInvalid(f"database_url_file {self.database_url_file} does not begin with {POSTGRESQL}")
        return url

    @property
    def called_ae_titles(self) -> tuple[str, ...]:
        """Every AE title of ours, the default first."""
        return (self.dicom.ae_title, *(profile.ae_title for profile in self.profiles))

    @property
    def model_names(self) -> tuple[str, ...]:
        """Every Triton model that reads exams sent to us, each once."""
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
        """The models that read exams sent to one of our AE titles.

        Raises:
            SettingsInvalid: it is not one of our AE titles, or is no longer.
        """
        if ae_title not in self.called_ae_titles:
            raise SettingsInvalid(
                f"no profile of the settings has the AE title {ae_title}: add one, and send again what was sent to it"
            )
        profile = self._profile(ae_title)
        return profile.stages(self.triton.stages) if profile else self.triton.stages

    def images_of(self, ae_title: str) -> Images:
        """Which images are read of those sent to one of our AE titles."""
        profile = self._profile(ae_title)
        return profile.images(self.images) if profile else self.images

    def requires_of(self, ae_title: str) -> Requires:
        """The views without which an exam sent to one of our AE titles is not read."""
        profile = self._profile(ae_title)
        return (profile and profile.requires) or self.completeness.requires

    def _profile(self, ae_title: str) -> Profile | None:
        """The profile of one of our AE titles; None for the default one, and for one that is no longer ours."""
        return next((profile for profile in self.profiles if profile.ae_title == ae_title), None)

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

    @field_validator("senders")
    @classmethod
    def _certificates_need_tls(cls, senders: tuple[Sender, ...], info: ValidationInfo) -> tuple[Sender, ...]:
        dicom = info.data.get("dicom")
        if dicom and not dicom.tls and (named := [sender.ae_title for sender in senders if sender.certificate]):
            raise ValueError(f"the certificate of {', '.join(named)} is seen only where [dicom.tls] is set")
        return senders

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
    def _halves_share_a_database(self) -> Self:
        if self.database_url and self.database_url_file:
            raise ValueError("database_url and database_url_file say the same thing: keep one")
        if self.role != "all" and not (self.database_url or self.database_url_file):
            raise ValueError(f"role {self.role} shares its work by PostgreSQL: set database_url or database_url_file")
        return self

    @model_validator(mode="after")
    def _worklist_reads_as_one_of_us(self) -> Self:
        ae_title = self.worklist.ae_title if self.worklist else None
        if ae_title is not None and ae_title not in self.called_ae_titles:
            raise ValueError(f"worklist.ae_title {ae_title} is none of ours: choose {', '.join(self.called_ae_titles)}")
        return self

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
        return env_settings, _File(settings_cls)


class _File(TomlConfigSettingsSource):
    """The TOML file; a data folder in it lies beside it, wherever a command is run."""

    def __call__(self) -> dict[str, Any]:
        values = super().__call__()
        file, folder = self.toml_file_path, values.get("data_dir")
        if isinstance(file, Path) and isinstance(folder, str):
            return {**values, "data_dir": file.parent.absolute() / folder}
        return values


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

    written: dict[str, Any] = {}

    class _FromFile(Settings):
        model_config = SettingsConfigDict(toml_file=path)

        @model_validator(mode="before")
        @classmethod
        def _keep(cls, values: dict[str, Any]) -> dict[str, Any]:
            written.update(values)
            return values

    try:
        return _FromFile()
    except ValidationError as error:
        raise SettingsInvalid("settings: " + "; ".join(faults_in(error, Settings, written))) from error
    except ValueError as error:
        raise SettingsInvalid(f"settings file {path}: {error}") from error
