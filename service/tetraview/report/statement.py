"""What everything that we write says of itself: research software, and what its weights were trained on."""

from __future__ import annotations


def statement(training: str) -> str:
    """The sentences that pictures and pages show.

    Args:
        training: what the weights were trained on, a sentence; empty where that is not known yet.
    """
    said = "Research software.", training, "Not a medical device, not for clinical use."
    return " ".join(filter(None, said))


def research_only(training: str) -> str:
    """The same as one clause, for items that hold a phrase beside others.

    Args:
        training: what the weights were trained on, a sentence; empty where no model read.
    """
    clause = f"{training[0].lower()}{training[1:].rstrip('.')}, " if training else ""
    return f"Research software, {clause}not for clinical use"
