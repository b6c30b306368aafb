"""The data folder: its layout, durable writes and stored files."""
