"""Why a request gets no answer."""

from __future__ import annotations


class BadRequest(ValueError):
    """The request cannot be read as input of the model."""


class Implausible(ArithmeticError):
    """The network's answer says nothing about the images in the request."""


class PartFailed(RuntimeError):
    """A part of the network that is a model of its own did not answer."""
