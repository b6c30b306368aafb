"""Names of this software in DICOM objects and associations."""

from __future__ import annotations

import uuid

from tetraview import __version__

#: Manufacturer (0008,0070) of every object that we make; intake knows our own results by it.
MANUFACTURER = "tetraview"
#: Identifies this implementation (PS3.7 D.3.3.2); made from a UUID (PS3.5 B.2).
IMPLEMENTATION_CLASS_UID = f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, 'tetraview').int}"
IMPLEMENTATION_VERSION_NAME = f"TETRAVIEW_{__version__}"[:16]
