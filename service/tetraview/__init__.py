"""tetraview reads screening mammograms four views at a time. Research software: not for clinical use."""

from importlib.metadata import version

__version__ = version("tetraview")
