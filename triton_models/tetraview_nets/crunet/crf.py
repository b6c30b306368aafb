"""A conditional random field as a recurrent layer: mean field inference between two labels (CRU-Net, after CRF-RNN).

Pixels that lie close, or lie close and look alike, should carry the same label. Each pass of mean field adds to a
pixel's log odds what its neighbours believe (Zheng and others, ICCV 2015, algorithm 1; Krähenbühl and Koltun, NIPS
2011, eq. 3):

    k1 = exp(-|p_i - p_j|² / 2θ_α² - (I_i - I_j)² / 2θ_β²)    appearance
    k2 = exp(-|p_i - p_j|² / 2θ_γ²)                           nearness
    Q  = softmax(u - μ(w1 K1 Q + w2 K2 Q)),  i ≠ j

with Potts compatibility μ, which charges a label what the other one has. Between two labels the softmax is a sigmoid of
log odds: ``z = u + K q - K (1 - q)`` with ``q = sigmoid(z)`` and ``K = w1 K1 + w2 K2``.

Deviations: the filters are computed outright, without the permutohedral lattice, over all pairs of pixels or over a
window of neighbours; their sums are not normalised; the bandwidths are fixed and both weights are learnt.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

#: Passes of mean field in training and in reading, as in the adversarial mammogram segmenter that CRU-Net grew from.
TRAINING_PASSES, READING_PASSES = 5, 10
#: Both weights before training: neighbours that agree then weigh about as much as a sure pixel of the network.
INITIAL_WEIGHT = 0.05


@dataclass(frozen=True, kw_only=True)
class Bandwidths:
    """How far and how differently grey a neighbour may be."""

    #: θ_α, of the appearance kernel, pixels.
    appearance_px: float = 3.0
    #: θ_β, of the appearance kernel, intensity in [0, 1].
    grey: float = 0.1
    #: θ_γ, of the nearness kernel, pixels.
    nearness_px: float = 1.0


BANDWIDTHS = Bandwidths()


class MeanField(nn.Module):
    """Common base of both forms, so that the weights of one fit the other."""

    #: float32 [2], w1 of appearance and w2 of nearness.
    weights: nn.Parameter
    #: Spatial parts of both kernels, zero where pixels are no neighbours.
    appearance: Tensor
    nearness: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((2,), INITIAL_WEIGHT))

    def forward(self, unary: Tensor, grey: Tensor, *, passes: int = READING_PASSES) -> Tensor:
        """Let pixels influence each other.

        Args:
            unary: float32 [N, S, S], log odds of *mass* from a network.
            grey: float32 [N, S, S], intensity in [0, 1].
            passes: number of mean field passes.

        Returns:
            Log odds of *mass* after the last pass, float32 [N, S, S].
        """
        kernel = self.kernel(grey)
        everybody = self.message(kernel, torch.ones_like(grey))
        odds = unary
        for _ in range(passes):
            # K q - K (1 - q)
            odds = unary + 2 * self.message(kernel, odds.sigmoid()) - everybody
        return odds

    @abstractmethod
    def kernel(self, grey: Tensor) -> Tensor:
        """``w1 K1 + w2 K2`` of every pixel with its neighbours; nothing with itself."""

    @abstractmethod
    def message(self, kernel: Tensor, belief: Tensor) -> Tensor:
        """``K q``: the neighbours' beliefs [N, S, S], each times its kernel, added up for every pixel."""

    def _mixed(self, appearance: Tensor, nearness: Tensor, difference: Tensor, *, grey: float) -> Tensor:
        """Both kernels of pairs whose spatial parts and grey differences are given."""
        alike = torch.exp(difference.square() * (-0.5 / grey**2))
        return self.weights[0] * appearance * alike + self.weights[1] * nearness


class WindowedMeanField(MeanField):
    """Mean field in which a pixel's neighbours are those of a square window around it."""

    def __init__(self, *, window: int = 7, bandwidths: Bandwidths = BANDWIDTHS) -> None:
        super().__init__()
        self.window, self.bandwidths = window, bandwidths
        steps = torch.arange(window) - window // 2
        squares = (steps[:, None] ** 2 + steps**2).reshape(1, -1, 1, 1).float()  # [1, W², 1, 1]
        appearance, nearness = _spatial(squares, squares > 0, bandwidths)
        self.register_buffer("appearance", appearance, persistent=False)
        self.register_buffer("nearness", nearness, persistent=False)

    def kernel(self, grey: Tensor) -> Tensor:
        """[N, S, S] to [N, W², S, S]; pixels beyond the border have no say."""
        difference = self._neighbours(grey) - grey[:, None]
        inside = self._neighbours(torch.ones_like(grey[:1]))
        both = self._mixed(self.appearance, self.nearness, difference, grey=self.bandwidths.grey)
        return both * inside

    def message(self, kernel: Tensor, belief: Tensor) -> Tensor:
        """[N, W², S, S] and [N, S, S] to [N, S, S]."""
        return (kernel * self._neighbours(belief)).sum(dim=1)

    def _neighbours(self, image: Tensor) -> Tensor:
        """[N, S, S] to [N, W², S, S], zero beyond the border."""
        around = functional.unfold(image[:, None], self.window, padding=self.window // 2)  # [N, W², S²]
        return around.reshape(image.shape[0], -1, *image.shape[1:])


class ExactMeanField(MeanField):
    """Mean field in which all pixels are each other's neighbours; S⁴ numbers for each patch.

    Args:
        size: S, rows and columns of a patch.
        bandwidths: how far and how differently grey a neighbour may be.
        window: only neighbours in a window of this side; what tells whether the windowed form is right.
    """

    def __init__(self, size: int, *, bandwidths: Bandwidths = BANDWIDTHS, window: int | None = None) -> None:
        super().__init__()
        self.bandwidths = bandwidths
        rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
        down, across = (line.flatten()[:, None] - line.flatten() for line in (rows, columns))
        near = torch.maximum(down.abs(), across.abs()) <= (window // 2 if window else size)
        squares = (down**2 + across**2)[None].float()  # [1, S², S²]
        appearance, nearness = _spatial(squares, (squares > 0) & near, bandwidths)
        self.register_buffer("appearance", appearance, persistent=False)
        self.register_buffer("nearness", nearness, persistent=False)

    def kernel(self, grey: Tensor) -> Tensor:
        """[N, S, S] to [N, S², S²]."""
        flat = grey.flatten(1)
        difference = flat[:, :, None] - flat[:, None]
        return self._mixed(self.appearance, self.nearness, difference, grey=self.bandwidths.grey)

    def message(self, kernel: Tensor, belief: Tensor) -> Tensor:
        """[N, S², S²] and [N, S, S] to [N, S, S]."""
        return torch.bmm(kernel, belief.flatten(1)[:, :, None]).reshape(belief.shape)


def _spatial(squares: Tensor, neighbours: Tensor, bandwidths: Bandwidths) -> tuple[Tensor, Tensor]:
    """The parts of both kernels that depend on squared distances alone, zero where pixels are no neighbours."""
    widths = bandwidths.appearance_px, bandwidths.nearness_px
    appearance, nearness = (torch.exp(squares * (-0.5 / width**2)) * neighbours for width in widths)
    return appearance, nearness
