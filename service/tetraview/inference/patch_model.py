"""Segmenters and classifiers as tetraview sees them: patches of one exam's candidates in, masks and grades out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tetraview.domain.patch import PatchShape
from tetraview.errors import ModelMismatch
from tetraview.inference.client import TritonModel
from tetraview.inference.contract.patch import PatchParameter, PatchRequest
from tetraview.inference.patch_answer import PatchAnswer, read_answer


class PatchModel(TritonModel):
    """A model that outlines masses, grades them, or does both in one pass."""

    def check(self) -> PatchShape:
        """See that the model is ready and keeps the contract; the patches that it reads.

        Raises:
            TritonUnavailable: Triton or the model is not ready.
            ModelMismatch: there is no such model, or it differs from the contract; the message names the difference.
        """
        found = self.configuration()
        _, rows, columns = map(int, found.inputs[PatchRequest.PATCH].shape)
        if rows != columns:
            raise ModelMismatch(f"{found.model} wants patches of {rows} by {columns} pixels, not square ones")
        margin, min_side_mm = found.number(PatchParameter.MARGIN), found.number(PatchParameter.MIN_SIDE_MM)
        if not (1 <= margin < np.inf and 0 < min_side_mm < np.inf):
            raise ModelMismatch(f"{found.model} cannot want patches of margin {margin} and at least {min_side_mm} mm")
        return PatchShape(size=rows, margin=margin, min_side_mm=min_side_mm)

    def read(self, exam_id: str, patches: Sequence[NDArray[np.float32]], *, size: int) -> PatchAnswer:
        """Read all candidates of one exam together.

        Args:
            exam_id: any text.
            patches: float32 [S, S] each, in [0, 1]; none where the exam has no candidate.
            size: S.

        Raises:
            TritonUnavailable: no answer before the deadline; try again later.
            ModelMismatch: the model refused the request, or its answer breaks the contract.
        """
        batch = np.asarray(patches, np.float32).reshape(-1, size, size)
        tensors: dict[PatchRequest, NDArray[Any]] = {
            PatchRequest.EXAM_ID: np.frombuffer(exam_id.encode(), np.uint8),
            PatchRequest.PATCH: batch,
        }
        return read_answer(self.infer(tensors), self.contract, exam_id=exam_id, candidates=len(batch), size=size)
