"""An exam whose marks are known beforehand, for people to see whether a viewer shows our results where they belong."""
