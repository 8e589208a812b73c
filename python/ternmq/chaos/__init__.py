"""What is recorded of a run under faults, and the checks of what must have held."""
