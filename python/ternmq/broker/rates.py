"""Rates and totals of the day, from totals that are sampled once a second. Time is an argument."""

from collections import deque
from datetime import date

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


class DailyTotals:
    """One total as it stood at the last two midnights; 0 where this process did not run yet."""

    def __init__(self) -> None:
        self._day: date | None = None
        self.today = 0
        self.yesterday = 0

    def sample(self, day: date, total: int) -> None:
        """Take the total on a day.

        Args:
            day: by the clock of the wall where the broker stands.
            total: count since start.
        """
        if self._day is None:
            self._day = day
        # A clock that is set back begins no day anew.
        if day <= self._day:
            return
        # A process that slept over a day has one and the same total for both midnights.
        self.yesterday = self.today if (day - self._day).days == 1 else total
        self.today, self._day = total, day
