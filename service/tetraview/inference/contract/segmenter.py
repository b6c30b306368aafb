"""The contract of ``unetpp_segmenter`` and ``crunet_segmenter``: patches in, where in each its mass is out.

One request carries the N candidates of one exam; N may be 0. A patch is S×S pixels of presentation values, brighter is
denser, cut upright as ``tetraview.imaging.patch`` says; S is the dims of ``patch``.

Request:
    ``exam_id``  UINT8  [E]        any text; comes back unchanged
    ``patch``    FP32   [N, S, S]  intensity in [0, 1]

Response:
    ``exam_id``      UINT8  [E]
    ``probability``  FP32   [N, S, S]  in [0, 1], how likely each pixel of the patch is part of the mass
    ``threshold``    FP32   [N]        in (0, 1]; the mask of a patch is where its probability reaches it
    ``model``        UINT8  [J]        one JSON document that says which weights ran: ``name``, ``version``,
                                       ``preset``, ``weights_sha256``, ``generator_version`` and ``training_data``

Parameters in config.pbtxt (strings): ``weights`` (file name in the version folder), ``weights_sha256`` (the digest in
the card of those weights), ``preset`` (the sizes they were trained with), ``margin`` (side of a patch over the longer
side of its candidate's box) and ``min_side_mm`` (least side of a patch, millimetres). The model loads only weights that
agree with all of them.
"""

from __future__ import annotations

from tetraview.inference.contract.patch import PatchResponse, patch_contract

SEGMENTER = patch_contract(PatchResponse.PROBABILITY, PatchResponse.THRESHOLD)
