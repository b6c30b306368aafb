"""Whether an image is read, and as which view: the first rule that fails gives the reason.

The rules are pure functions of a pydicom data set and of what the site set; their codes and words are tables. An image
is stored whatever they say.
"""

from __future__ import annotations

from tetraview.intake.eligibility.decide import eligibility_of
from tetraview.intake.eligibility.device import device_of

__all__ = ["device_of", "eligibility_of"]
