"""QIDO-RS and WADO-RS (PS3.18 10.6, 10.4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import requests
from dicomweb_client import DICOMwebClient
from dicomweb_client.uri import URI
from pydicom.dataset import Dataset
from python_multipart.multipart import parse_options_header

from tetraview.delivery.web import check_address
from tetraview.errors import BodyMalformed, DestinationUnavailable
from tetraview.settings import Destination
from tetraview.tools.retrieve.study import MODALITY, Study, series_of, study_of
from tetraview.wire.http_client import authorization
from tetraview.wire.multipart import MultipartParser

#: Asks for images as stored: otherwise a service decompresses them, or refuses those that it cannot decompress.
_AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
#: Studies asked for at once.
_PAGE = 500
#: Bytes taken at once.
_CHUNK = 1 << 19


class WebArchive:
    """A DICOMweb service.

    Args:
        destination: with a url.
    """

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    def find(self, *, study: str = "", dates: str = "") -> Iterator[Study]:
        """Studies with mammograms."""
        filters = {"ModalitiesInStudy": MODALITY, "StudyInstanceUID": study, "StudyDate": dates}
        given = {keyword: value for keyword, value in filters.items() if value}
        known: dict[str, Study] = {}
        offset = 0
        with self._session() as session:
            client = self._client_of(session)
            while True:
                page = client.search_for_studies(search_filters=given, limit=_PAGE, offset=offset)
                studies = filter(None, map(study_of, map(Dataset.from_json, page)))
                before, offset = len(known), offset + len(page)
                known |= {study.study_instance_uid: study for study in studies}
                # Not every service heeds the offset.
                if len(page) < _PAGE or len(known) == before:
                    break
        yield from known.values()

    def retrieve(self, study: Study, folder: Path) -> None:
        """Retrieve the mammograms of a study, series by series, each file with the bytes that the service sends."""
        uid = study.study_instance_uid
        with self._session() as session:
            client = self._client_of(session)
            found = client.search_for_series(uid, search_filters={"Modality": MODALITY})
            with closing(_Files(folder)) as files:
                for series in filter(None, map(series_of, map(Dataset.from_json, found))):
                    self._retrieve_series(session, URI(self._destination.url, uid, series), files)

    def _retrieve_series(self, session: requests.Session, address: URI, files: _Files) -> None:
        with session.get(str(address), headers={"Accept": _AS_STORED}, stream=True, timeout=self._timeout) as answer:
            answer.raise_for_status()
            media_type, parameters = parse_options_header(answer.headers.get("Content-Type", ""))
            if media_type != b"multipart/related":
                raise ValueError("not multipart/related")
            body = MultipartParser(parameters[b"boundary"], begin=files.begin, end=files.close)
            for chunk in answer.iter_content(_CHUNK):
                body.write(chunk)
        if not body.is_finished:
            raise ValueError("the answer breaks off")

    @property
    def _timeout(self) -> tuple[float, float]:
        """Seconds to connect and to wait for bytes."""
        return self._destination.connect_seconds, self._destination.response_seconds

    def _client_of(self, session: requests.Session) -> DICOMwebClient:
        client = DICOMwebClient(self._destination.url, session=session, timeout=self._timeout)
        client.set_http_retry_params(retry=False)
        return client

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """A session with this service only; every fault is turned into a sentence."""
        there = self._destination
        with requests.Session() as session:
            session.trust_env = False
            session.max_redirects = 0
            session.headers.update(authorization(there.token_file))
            if there.tls_ca_file is not None:
                session.verify = str(there.tls_ca_file)
            try:
                yield session
            except requests.RequestException as error:
                raise self._unavailable(error) from error
            except (ValueError, KeyError, TypeError, AttributeError, BodyMalformed) as error:
                raise DestinationUnavailable(
                    f"{there.name} does not answer as DICOMweb does ({type(error).__name__}): check its url"
                ) from error

    def _unavailable(self, error: requests.RequestException) -> DestinationUnavailable:
        status: Any = getattr(error.response, "status_code", None)
        if status is not None:
            try:
                check_address(status, self._destination)
            except DestinationUnavailable as fault:
                return fault
            return DestinationUnavailable(f"{self._destination.name} answers {status}: check url, token and rights")
        return DestinationUnavailable(
            f"{self._destination.name} does not answer ({type(error).__name__}): check its url and that it runs"
        )


class _Files:
    """Parts of answers as files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0
        self._file: BinaryIO | None = None

    def begin(self) -> BinaryIO:
        """Open the next file."""
        self._number += 1
        self._file = (self._folder / f"{self._number:06d}.dcm").open("wb")
        return self._file

    def close(self) -> None:
        """Close the file: it is whole, or no more of it comes."""
        if self._file is not None:
            self._file.close()
