"""tetraview reads screening mammograms four views at a time. Research software: not for clinical use."""
