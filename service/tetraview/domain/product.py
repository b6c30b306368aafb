"""What this software calls itself in DICOM objects."""

#: Manufacturer (0008,0070) of every object that we make; intake knows our own results by it.
MANUFACTURER = "tetraview"
