"""One exam through the whole system on one machine, for people to see."""
