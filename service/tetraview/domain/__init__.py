"""The nouns of tetraview: standard library only, frozen, valid once they exist."""
