"""A single-view network without any ideas of a paper: the floor above which every detector has to earn its place."""
