"""What every training and every evaluation needs: exams, lesions, schedules, runs, tables of figures."""
