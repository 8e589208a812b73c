"""The benches: our servers, and Apache's beside them, under the official Java client and under our own load."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
# The starters of real servers are shared with the tests.
sys.path.append(str(ROOT / "tests"))
