"""What tetraview knows and must not forget: instances, exams, readings, deliveries."""
