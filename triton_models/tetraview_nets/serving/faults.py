"""Why a request gets no answer."""

from __future__ import annotations


class BadRequest(ValueError):
    """The request cannot be read as what the model reads."""


class Implausible(ArithmeticError):
    """The network's answer says nothing about what was sent."""


class PartFailed(RuntimeError):
    """A part of the network that is a model of its own did not answer."""
