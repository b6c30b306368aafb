import com.pixelmed.dicom.AttributeList;
import com.pixelmed.validate.DicomSRValidator;

/** What PixelMed's DicomSRValidator says of each file, after a form feed each; its own main takes one file at a time. */
class Validate {
    public static void main(String[] paths) throws Exception {
        DicomSRValidator validator = new DicomSRValidator();
        validator.setOptionCheckTemplateID(true);
        validator.setOptionCheckContentItemOrder(true);
        for (String path : paths) {
            AttributeList document = new AttributeList();
            document.read(path);
            System.out.println("\f" + validator.validate(document));
        }
    }
}
