"""What all tests start from."""

import signal

# A shell that runs this in the background without job control has SIGINT ignored, and everything started from here
# would inherit that: a test of Ctrl-C would test nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
