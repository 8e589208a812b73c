"""Rates over the last 10, 60 and 600 seconds, from totals that are sampled once a second. Time is an argument."""

from collections import deque

WINDOWS_SECONDS = (10, 60, 600)


class Rate:
    """Rates of one total."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque(maxlen=WINDOWS_SECONDS[-1] + 1)

    def sample(self, now: float, total: int) -> None:
        """Take the total at a time.

        Args:
            now: monotonic seconds.
            total: count since start.
        """
        self._samples.append((now, total))

    def text(self) -> str:
        """Give the three rates as RocketMQ's tools read them: per second, separated by blanks; 0.0 without samples."""
        return " ".join(str(self._over(seconds)) for seconds in WINDOWS_SECONDS)

    def _over(self, seconds: int) -> float:
        if len(self._samples) < 2:
            return 0.0
        # Samples are a second apart, so the index is the age; a younger process has fewer.
        then, before = self._samples[max(0, len(self._samples) - 1 - seconds)]
        now, total = self._samples[-1]
        return (total - before) / (now - then) if now > then else 0.0
