"""What operators send, one file per family."""
