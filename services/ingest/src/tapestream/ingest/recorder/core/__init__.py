"""What the recorder decides, without any I/O."""
