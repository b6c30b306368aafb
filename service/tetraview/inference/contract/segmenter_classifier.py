"""The contract of ``dualcore`` and ``rescunet``: patches in, where in each its mass is and how malignant it looks out.

One request carries the N candidates of one exam; N may be 0. A patch is S×S pixels of presentation values, brighter is
denser, cut upright as ``tetraview.imaging.patch`` says; S is the dims of ``patch``. One pass through the network gives
both answers, so that one request serves both.

Request:
    ``exam_id``  UINT8  [E]        any text; comes back unchanged
    ``patch``    FP32   [N, S, S]  intensity in [0, 1]

Response:
    ``exam_id``      UINT8  [E]
    ``probability``  FP32   [N, S, S]  in [0, 1], how likely each pixel of the patch is part of the mass
    ``threshold``    FP32   [N]        in (0, 1]; the mask of a patch is where its probability reaches it
    ``malignancy``   FP32   [N]        score in [0, 1] that rises with malignancy, not a probability
    ``model``        UINT8  [J]        one JSON document that says which weights ran: ``name``, ``version``,
                                       ``preset``, ``weights_sha256``, ``generator_version``, ``training_data`` and,
                                       where they were calibrated, ``calibration`` {``malignancy``: {``slope``,
                                       ``intercept``, ``prevalence``}} of the malignancy score

Parameters in config.pbtxt (strings): ``weights`` (file name in the version folder), ``weights_sha256`` (the digest in
the card of those weights), ``preset`` (the sizes they were trained with), ``margin`` (side of a patch over the longer
side of its candidate's box) and ``min_side_mm`` (least side of a patch, millimetres). The model loads only weights that
agree with all of them.
"""

from __future__ import annotations

from tetraview.inference.contract.patch import PatchResponse, patch_contract

SEGMENTER_CLASSIFIER = patch_contract(PatchResponse.PROBABILITY, PatchResponse.THRESHOLD, PatchResponse.MALIGNANCY)
