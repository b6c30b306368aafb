"""What tetraview and Triton agree on: model, tensor names, types and shapes.

The same facts stand in ``triton_models/repository/mommi_detector/config.pbtxt``; a test holds both to each other.

One request carries one exam with V views present (1 to 4). Tensors of the canonical frame are H×W pixels
(chest wall at x = 0, lateral up in CC, axilla up in MLO, isotropic spacing; see ``tetraview.imaging.canonical``).

Request:
    ``exam_id``      BYTES  [1]        any string; comes back unchanged
    ``view``         BYTES  [V]        ``L-CC`` and so on, each at most once
    ``image``        FP32   [V, H, W]  intensity in [0, 1], zero outside the breast crop
    ``breast_mask``  UINT8  [V, H, W]  1 inside the breast
    ``spacing_mm``   FP32   [V]        millimetres per canonical pixel

Response, N detections over all views, those of one view by falling score:
    ``exam_id``         BYTES  [1]
    ``boxes``           FP32   [N, 4]  x0, y0, x1, y1 in canonical pixels, half open
    ``scores``          FP32   [N]     detection score in [0, 1], not a probability
    ``box_view``        INT32  [N]     index into the request's ``view``
    ``outline_points``  FP32   [P, 2]  x, y in canonical pixels; the outlines of all detections end to end
    ``outline_ends``    INT32  [N]     detection i owns points [ends[i-1], ends[i]); at least 3 each
    ``route``           BYTES  [V]     tri, ipsi, bi or single
    ``nipples``         FP32   [V, 3]  x, y in canonical pixels and confidence in [0, 1]
    ``warnings``        BYTES  [W]     plain sentences, each starting with the view's name
    ``model``           BYTES  [1]     one JSON document that says which weights ran: ``name``, ``version``, ``preset``,
                                       ``weights_sha256``, ``generator_version``, ``training_data`` and
                                       ``operating_points`` {name: {route: threshold}}

Parameters in config.pbtxt (strings): ``weights`` (file name in the version folder) and ``spacing_mm`` (the finest
canonical spacing, millimetres per pixel, that the weights were trained at). H and W are the dims of ``image``.
"""
