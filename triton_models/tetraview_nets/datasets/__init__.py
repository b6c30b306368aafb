"""Public mammography data sets as exams with truth: loaders only, nothing is downloaded and nothing is shipped."""
