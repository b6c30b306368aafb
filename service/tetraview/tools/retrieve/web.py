"""QIDO-RS and WADO-RS (PS3.18 10.6, 10.4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from dicomweb_client import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from tetraview.delivery.web import check_address
from tetraview.errors import DestinationUnavailable
from tetraview.settings import Destination
from tetraview.tools.retrieve.study import MODALITY, Study, series_of, study_of
from tetraview.wire.http_client import authorization

#: Asks for images as stored: otherwise a service decompresses them, or refuses those that it cannot decompress.
_AS_STORED = (("application/dicom", "*"),)

#: Studies asked for at once.
_PAGE = 500


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
        with self._client() as client:
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
        """Retrieve the mammograms of a study, series by series."""
        uid = study.study_instance_uid
        with self._client() as client:
            found = client.search_for_series(uid, search_filters={"Modality": MODALITY})
            number = 0
            for series in filter(None, map(series_of, map(Dataset.from_json, found))):
                for dataset in client.iter_series(uid, series, media_types=_AS_STORED):
                    number += 1
                    dataset.save_as(folder / f"{number:06d}.dcm", enforce_file_format=True)

    @contextmanager
    def _client(self) -> Iterator[DICOMwebClient]:
        """A client of this service only; every fault is turned into a sentence."""
        there = self._destination
        with requests.Session() as session:
            session.trust_env = False
            session.max_redirects = 0
            session.headers.update(authorization(there.token_file))
            if there.tls_ca_file is not None:
                session.verify = str(there.tls_ca_file)
            client = DICOMwebClient(there.url, session=session, timeout=(there.connect_seconds, there.response_seconds))
            client.set_http_retry_params(retry=False)
            try:
                yield client
            except requests.RequestException as error:
                raise self._unavailable(error) from error
            except (ValueError, KeyError, TypeError, AttributeError, InvalidDicomError) as error:
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
