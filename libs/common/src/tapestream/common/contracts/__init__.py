"""What services say to each other: subjects, streams and messages."""
