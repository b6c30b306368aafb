"""Result objects to their destinations, by DICOM or by DICOMweb."""

from tetraview.delivery.commitment import ask_for_commitment
from tetraview.delivery.dispatch import deliver, deliver_files, echo
from tetraview.delivery.modality import receiver_of, store_files

__all__ = ["ask_for_commitment", "deliver", "deliver_files", "echo", "receiver_of", "store_files"]
