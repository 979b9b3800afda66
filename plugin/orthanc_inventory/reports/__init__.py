"""What is made of finished inventories."""
