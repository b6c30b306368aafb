"""The agreement on one Triton model, and where a model differs from it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

#: Extents that the contract leaves to the model's configuration, where they are numbers.
_CONFIGURED = ("H", "W", "S")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Type and shape of one tensor."""

    #: KServe's name of the type, for example ``FP32``.
    datatype: str
    #: A number is that extent; a letter is an extent that varies with the request, the same wherever it stands.
    #: H, W and S are numbers of the model's configuration.
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.datatype} [{', '.join(map(str, self.shape))}]"

    def admits(self, found: TensorSpec) -> bool:
        """Whether a tensor of the model's configuration, where -1 stands for an extent that varies, is this one."""
        return (
            found.datatype == self.datatype
            and len(found.shape) == len(self.shape)
            and all(map(_admits, self.shape, found.shape))
        )


def _admits(agreed: int | str, found: int | str) -> bool:
    if agreed in _CONFIGURED:
        return isinstance(found, int) and found > 0
    return found == (-1 if isinstance(agreed, str) else agreed)


@dataclass(frozen=True, kw_only=True)
class ModelContract:
    """Inputs, outputs and parameters of one Triton model."""

    #: The tensors of a request by name.
    request: Mapping[str, TensorSpec]
    #: The tensors of a response by name.
    response: Mapping[str, TensorSpec]
    #: The names of its configuration's parameters.
    parameters: Sequence[str]

    def differences(
        self, *, inputs: Mapping[str, TensorSpec], outputs: Mapping[str, TensorSpec], parameters: Collection[str]
    ) -> list[str]:
        """Differences between the contract and a model's description of itself, in words."""
        missing = [f"parameter {name} is missing" for name in self.parameters if name not in parameters]
        return [*_differences(self.request, inputs), *_differences(self.response, outputs), *missing]


def _differences(agreed: Mapping[str, TensorSpec], found: Mapping[str, TensorSpec]) -> list[str]:
    missing = [f"tensor {name} is missing" for name in agreed if name not in found]
    unknown = [f"tensor {name} is not agreed" for name in found if name not in agreed]
    other = [
        f"tensor {name} is {found[name]}, not {spec}"
        for name, spec in agreed.items()
        if name in found and not spec.admits(found[name])
    ]
    return missing + unknown + other
