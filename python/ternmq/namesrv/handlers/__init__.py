"""Handlers of the NameServer, one file per family. Each takes the two or three things it uses."""
