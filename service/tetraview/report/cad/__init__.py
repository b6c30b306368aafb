"""Mammography CAD SR: the content tree with items by reference, and one class for each template (PS3.16 TID 4000)."""
