"""A single-view network without any paper's ideas: the floor above which every paper's detector has to earn its place."""
