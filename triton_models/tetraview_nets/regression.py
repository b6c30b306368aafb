"""Logistic regression of few columns, to weigh evidence after networks are trained."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

#: Strength of the pull towards zero, in units of the mean loss of a row.
RIDGE = 1e-3


def regress(x: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [C] and bias of the logistic regression of ``truth`` on ``x``.

    Args:
        x: [N, C].
        truth: bool [N], both values among them.
    """
    x, wanted = x.double(), truth.double()
    parameters = torch.zeros(x.shape[1] + 1, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([parameters], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = x @ parameters[:-1] + parameters[-1]
        total = functional.binary_cross_entropy_with_logits(logits, wanted) + RIDGE * parameters[:-1].square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    fitted = parameters.detach().float()
    return fitted[:-1], fitted[-1]
