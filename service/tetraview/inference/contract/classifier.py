"""The contract of ``mommi_classifier``: patches of one exam's candidates in, how malignant each looks out.

One request carries the N candidates of one exam; N may be 0. A patch is S×S pixels of presentation values, brighter is
denser, cut upright as ``tetraview.imaging.patch`` says; S is the dims of ``patch``.

Request:
    ``exam_id``  UINT8  [E]        any text; comes back unchanged
    ``patch``    FP32   [N, S, S]  intensity in [0, 1]

Response:
    ``exam_id``       UINT8  [E]
    ``malignancy``    FP32   [N]  score in [0, 1] that rises with malignancy, not a probability
    ``birads_score``  FP32   [N]  regression towards the BI-RADS scale in [0, 1]: category 1 is 0, category 6 is 1
    ``model``         UINT8  [J]  one JSON document that says which weights ran: ``name``, ``version``, ``preset``,
                                  ``weights_sha256``, ``generator_version``, ``training_data`` and, where they were
                                  calibrated, ``calibration`` {``malignancy``: {``slope``, ``intercept``,
                                  ``prevalence``}} of the malignancy score

Parameters in config.pbtxt (strings): ``weights`` (file name in the version folder), ``weights_sha256`` (the digest in
the card of those weights), ``preset`` (the sizes they were trained with), ``margin`` (side of a patch over the longer
side of its candidate's box) and ``min_side_mm`` (least side of a patch, millimetres). The model loads only weights that
agree with all of them.
"""

from __future__ import annotations

from tetraview.inference.contract.patch import PatchResponse, patch_contract

CLASSIFIER = patch_contract(PatchResponse.MALIGNANCY, PatchResponse.BIRADS_SCORE)
