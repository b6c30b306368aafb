"""Common parts of every training and every evaluation: exams, lesions, schedules, runs, tables of figures."""
