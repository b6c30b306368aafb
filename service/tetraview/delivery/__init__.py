"""Result objects to their destinations, by DICOM or by DICOMweb."""

from tetraview.delivery.dispatch import deliver, deliver_files, echo
from tetraview.delivery.sender import store_files

__all__ = ["deliver", "deliver_files", "echo", "store_files"]
