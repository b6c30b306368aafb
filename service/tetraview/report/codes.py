"""The coded concepts that our results use, spelled out.

Own literals, because some meanings in pydicom's dictionary hold characters that are not ASCII, which not every
Specific Character Set can write. Code values and meanings: DICOM PS3.16 Annex D and the context groups named here.
"""

from __future__ import annotations

from pydicom.sr.coding import Code

from tetraview.domain.suspicion import Suspicion
from tetraview.domain.view import Laterality, ViewPosition

# Document (TID 1500, TID 1204, TID 1004).
IMAGING_MEASUREMENT_REPORT = Code("126000", "DCM", "Imaging Measurement Report")
LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
ENGLISH = Code("en-US", "RFC5646", "English (United States)")
OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
DEVICE = Code("121007", "DCM", "Device")
DEVICE_UID = Code("121012", "DCM", "Device Observer UID")
DEVICE_NAME = Code("121013", "DCM", "Device Observer Name")
DEVICE_MANUFACTURER = Code("121014", "DCM", "Device Observer Manufacturer")
DEVICE_MODEL_NAME = Code("121015", "DCM", "Device Observer Model Name")
DEVICE_SERIAL_NUMBER = Code("121016", "DCM", "Device Observer Serial Number")
PROCEDURE_REPORTED = Code("121058", "DCM", "Procedure reported")
MAMMOGRAPHY_PROCEDURE = Code("71651007", "SCT", "Mammography")
COMMENT = Code("121106", "DCM", "Comment")

# Image library (TID 1600).
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
SOURCE = Code("260753009", "SCT", "Source")
MODALITY = Code("121139", "DCM", "Modality")
MAMMOGRAPHY = Code("MG", "DCM", "Mammography")
PIXEL_DATA_ROWS = Code("110910", "DCM", "Pixel Data Rows")
PIXEL_DATA_COLUMNS = Code("110911", "DCM", "Pixel Data Columns")
PATIENT_ORIENTATION_ROW = Code("111044", "DCM", "Patient Orientation Row")
PATIENT_ORIENTATION_COLUMN = Code("111043", "DCM", "Patient Orientation Column")
HORIZONTAL_PIXEL_SPACING = Code("111026", "DCM", "Horizontal Pixel Spacing")
VERTICAL_PIXEL_SPACING = Code("111066", "DCM", "Vertical Pixel Spacing")
IMAGE_LATERALITY = Code("111027", "DCM", "Image Laterality")
IMAGE_VIEW = Code("111031", "DCM", "Image View")

# Measurement groups (TID 1410) and what they measure.
IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")
MEASUREMENT_GROUP = Code("125007", "DCM", "Measurement Group")
TRACKING_IDENTIFIER = Code("112039", "DCM", "Tracking Identifier")
TRACKING_UNIQUE_IDENTIFIER = Code("112040", "DCM", "Tracking Unique Identifier")
FINDING = Code("121071", "DCM", "Finding")
FINDING_SITE = Code("363698007", "SCT", "Finding Site")
ALGORITHM_NAME = Code("111001", "DCM", "Algorithm Name")
ALGORITHM_PARAMETERS = Code("111002", "DCM", "Algorithm Parameters")
ALGORITHM_VERSION = Code("111003", "DCM", "Algorithm Version")
LONG_AXIS = Code("103339001", "SCT", "Long Axis")
CERTAINTY_OF_FINDING = Code("111012", "DCM", "Certainty of Finding")
AREA = Code("42798000", "SCT", "Area")
DISTANCE_FROM_NIPPLE = Code("121242", "DCM", "Distance from nipple")
IMAGE_REGION = Code("111030", "DCM", "Image Region")

# Mammography CAD SR (TID 4000 and the templates that it includes).
MAMMOGRAPHY_CAD_REPORT = Code("111036", "DCM", "Mammography CAD Report")
IMAGE_VIEW_MODIFIER = Code("111032", "DCM", "Image View Modifier")
NIPPLE_IN_PROFILE = Code("442581004", "SCT", "Nipple in profile")
STUDY_DATE = Code("111060", "DCM", "Study Date")
STUDY_TIME = Code("111061", "DCM", "Study Time")
CONTENT_DATE = Code("111018", "DCM", "Content Date")
CONTENT_TIME = Code("111019", "DCM", "Content Time")
POSITIONER_PRIMARY_ANGLE = Code("112011", "DCM", "Positioner Primary Angle")
POSITIONER_SECONDARY_ANGLE = Code("112012", "DCM", "Positioner Secondary Angle")
INDIVIDUAL_IMPRESSION = Code("111034", "DCM", "Individual Impression/Recommendation")
RENDERING_INTENT = Code("111056", "DCM", "Rendering Intent")
PRESENTATION_REQUIRED = Code("111150", "DCM", "Presentation Required: Rendering device is expected to present")
COMPOSITE_FEATURE = Code("111015", "DCM", "Composite Feature")
COMPOSITE_TYPE = Code("111016", "DCM", "Composite type")
RELATED_SPATIALLY = Code("111154", "DCM", "Target Content Items are related spatially")
SCOPE_OF_FEATURE = Code("111057", "DCM", "Scope of Feature")
ON_MULTIPLE_IMAGES = Code("111158", "DCM", "Feature detected on multiple images")
CERTAINTY_OF_FEATURE = Code("111011", "DCM", "Certainty of Feature")
SINGLE_IMAGE_FINDING = Code("111059", "DCM", "Single Image Finding")
CENTER = Code("111010", "DCM", "Center")
OUTLINE = Code("111041", "DCM", "Outline")
BREAST_MASS = Code("129788004", "SCT", "Mammographic breast mass")
BREAST_DENSITY = Code("129793001", "SCT", "Mammography breast density")
SUMMARY_OF_DETECTIONS = Code("111064", "DCM", "Summary of Detections")
SUCCESSFUL_DETECTIONS = Code("111063", "DCM", "Successful Detections")
FAILED_DETECTIONS = Code("111025", "DCM", "Failed Detections")
DETECTION_PERFORMED = Code("111022", "DCM", "Detection Performed")
SUMMARY_OF_ANALYSES = Code("111065", "DCM", "Summary of Analyses")
SUCCESSFUL_ANALYSES = Code("111062", "DCM", "Successful Analyses")
FAILED_ANALYSES = Code("111024", "DCM", "Failed Analyses")
ANALYSIS_PERFORMED = Code("111004", "DCM", "Analysis Performed")
SPATIAL_COLLOCATION_ANALYSIS = Code("133884007", "SCT", "Spatial collocation analysis")

# Outcomes of detections and analyses (CID 6042).
SUCCEEDED = Code("111222", "DCM", "Succeeded")
PARTIALLY_SUCCEEDED = Code("111223", "DCM", "Partially Succeeded")
FAILED = Code("111224", "DCM", "Failed")
NOT_ATTEMPTED = Code("111225", "DCM", "Not Attempted")

# Additions of the classifier. DICOM has no concept for a score or a level that claims neither a probability nor an
# assessment, so these are our own (PS3.3 8.2: private schemes begin with 99).
SCHEME = "99TETRAVIEW"
MALIGNANCY_SCORE = Code("MALIGNANCY_SCORE", SCHEME, "Malignancy score, not a probability")
SUSPICION_LEVEL = Code("SUSPICION_LEVEL", SCHEME, "Estimated suspicion level")
MASS_PROBABILITY = Code("MASS_PROBABILITY", SCHEME, "Calibrated probability of a mass")
PROBABILITY_OF_CANCER = Code("111047", "DCM", "Probability of cancer")
ASSESSMENT_CATEGORY = Code("111005", "DCM", "Assessment Category")

# Summary of the document (CID 6047).
QUALITATIVE_EVALUATIONS = Code("C0034375", "UMLS", "Qualitative Evaluations")
PROCESSING_SUMMARY = Code("111017", "DCM", "CAD Processing and Findings Summary")
ALL_SUCCEEDED_WITHOUT_FINDINGS = Code("111241", "DCM", "All algorithms succeeded; without findings")
ALL_SUCCEEDED_WITH_FINDINGS = Code("111242", "DCM", "All algorithms succeeded; with findings")
NOT_ALL_SUCCEEDED_WITHOUT_FINDINGS = Code("111243", "DCM", "Not all algorithms succeeded; without findings")
NOT_ALL_SUCCEEDED_WITH_FINDINGS = Code("111244", "DCM", "Not all algorithms succeeded; with findings")
NONE_SUCCEEDED = Code("111245", "DCM", "No algorithms succeeded; without findings")

# Segments (CID 7150, CID 7151, CID 7162), source images (CID 7202) and equipment (CID 7005).
MORPHOLOGICALLY_ABNORMAL_STRUCTURE = Code("49755003", "SCT", "Morphologically Abnormal Structure")
MASS = Code("4147007", "SCT", "Mass")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
PROCESSED_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
#: How highdicom says that a mask was derived from its image (CID 7203).
SEGMENTATION = Code("113076", "DCM", "Segmentation")
ACQUISITION_EQUIPMENT = Code("109101", "DCM", "Acquisition Equipment")
PROCESSING_EQUIPMENT = Code("109102", "DCM", "Processing Equipment")

# Units (UCUM).
PERCENT = Code("%", "UCUM", "Percent")
MILLIMETER = Code("mm", "UCUM", "millimeter")
SQUARE_MILLIMETER = Code("mm2", "UCUM", "square millimeter")
NO_UNITS = Code("1", "UCUM", "no units")
PIXELS = Code("{pixels}", "UCUM", "Pixels")
DEGREE = Code("deg", "UCUM", "Degree")

#: Laterality (CID 244), as the image library states it.
SIDE = {
    Laterality.LEFT: Code("7771000", "SCT", "Left"),
    Laterality.RIGHT: Code("24028007", "SCT", "Right"),
}
#: Breast (CID 6022), as findings and segments state it.
BREAST = {
    Laterality.LEFT: Code("80248007", "SCT", "Left breast"),
    Laterality.RIGHT: Code("73056007", "SCT", "Right breast"),
}
#: Level of suspicion.
SUSPICION = {
    Suspicion.LOW: Code("62482003", "SCT", "Low"),
    Suspicion.INTERMEDIATE: Code("11896004", "SCT", "Intermediate"),
    Suspicion.HIGH: Code("75540009", "SCT", "High"),
}
#: Mammography assessment (CID 6026) of the categories that an image alone can suggest.
BIRADS = {
    "3": Code("397143007", "SCT", "3 - Probably Benign"),
    "4A": Code("MA.II.A.5.4A", "BI", "4A - Low suspicion", "4.0"),
    "4B": Code("MA.II.A.5.4B", "BI", "4B - Intermediate suspicion", "4.0"),
    "4C": Code("MA.II.A.5.4C", "BI", "4C - Moderate suspicion", "4.0"),
    "5": Code("397145000", "SCT", "5 - Highly suggestive of malignancy"),
}
#: Mammography view (CID 4014).
PROJECTION = {
    ViewPosition.CC: Code("399162004", "SCT", "cranio-caudal"),
    ViewPosition.MLO: Code("399368009", "SCT", "medio-lateral oblique"),
}
#: SNOMED-RT style codes of what a CAD report says in SNOMED CT, by their values there (PS3.16 Annex O).
SRT = {
    code.value: Code(value, "SRT", code.meaning)
    for code, value in (
        (BREAST_MASS, "F-01791"),
        (BREAST_DENSITY, "F-01796"),
        (SPATIAL_COLLOCATION_ANALYSIS, "P5-B3402"),
        (LONG_AXIS, "G-A185"),
        (AREA, "G-A166"),
        (BREAST[Laterality.LEFT], "T-04030"),
        (BREAST[Laterality.RIGHT], "T-04020"),
        (PROJECTION[ViewPosition.CC], "R-10242"),
        (PROJECTION[ViewPosition.MLO], "R-10226"),
        (NIPPLE_IN_PROFILE, "R-40AB3"),
    )
}
