"""Statement that all our output carries: that it comes from research software, and the training data of the weights."""

from __future__ import annotations


def statement(training: str) -> str:
    """The sentences that pictures and pages show.

    Args:
        training: the sentence on the training data; empty where they are not known yet.
    """
    said = "Research software.", training, "Not a medical device, not for clinical use."
    return " ".join(filter(None, said))


def research_only(training: str) -> str:
    """The same statement as one clause, for items that hold several phrases.

    Args:
        training: the sentence on the training data; empty where no model read.
    """
    clause = f"{training[0].lower()}{training[1:].rstrip('.')}, " if training else ""
    return f"Research software, {clause}not for clinical use"
