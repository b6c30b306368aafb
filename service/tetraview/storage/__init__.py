"""The data folder: its layout, durable writes, what is stored."""
