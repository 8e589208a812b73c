"""The command line: the only place that assembles processes.

Every module here imports only click at its top; what a command needs is imported inside it, so that ``--help`` and
completion stay fast. A test holds this.
"""
