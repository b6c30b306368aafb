"""All settings: one frozen tree from a TOML file and the environment.

The file is named by ``TETRAVIEW_CONFIG`` or ``--config``; any value can be overridden by an environment variable such
as ``TETRAVIEW_DICOM__PORT=11112``. Unknown keys in the file are errors.
"""

from __future__ import annotations

from tetraview.settings.completeness import Completeness, Requires
from tetraview.settings.destination import Destination
from tetraview.settings.dicom import Dicom
from tetraview.settings.images import Images
from tetraview.settings.imaging import Imaging
from tetraview.settings.profile import Profile
from tetraview.settings.report import OutputProfile, Report
from tetraview.settings.senders import Sender
from tetraview.settings.tls import Tls
from tetraview.settings.traces import Traces
from tetraview.settings.tree import Settings, load_settings
from tetraview.settings.triton import ClassifierName, DetectorName, SegmenterName, Stages, Triton
from tetraview.settings.web import Web
from tetraview.settings.worklist import Worklist

__all__ = [
    "ClassifierName",
    "Completeness",
    "Destination",
    "DetectorName",
    "Dicom",
    "Images",
    "Imaging",
    "OutputProfile",
    "Profile",
    "Report",
    "Requires",
    "SegmenterName",
    "Sender",
    "Settings",
    "Stages",
    "Tls",
    "Traces",
    "Triton",
    "Web",
    "Worklist",
    "load_settings",
]
