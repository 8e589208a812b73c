"""Local clusters: every node a process of its own, started, watched and stopped by a supervisor."""
