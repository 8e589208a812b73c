"""Runtime information (28), in the form that RocketMQ's tools parse."""

import asyncio
import shutil
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from ternmq.broker.engine import Engine
from ternmq.broker.inspection import delay_levels, oldest_store_time
from ternmq.broker.rates import DailyTotals, Rate
from ternmq.protocol.codes import OWN_VERSION
from ternmq.protocol.tables import encode_kv_table
from ternmq.remoting import Reply, Request

VERSION_DESCRIPTION = "V5_5_0"

# Rates by name, each from the sum of some of the engine's totals.
_RATES = {
    "putTps": ("put_messages",),
    "getTransferredTps": ("get_messages",),
    # As 4.9 spells it.
    "getTransferedTps": ("get_messages",),
    "getFoundTps": ("get_found",),
    "getMissTps": ("get_missed",),
    "getTotalTps": ("get_found", "get_missed"),
}
# Totals of the day by the middle of their names.
_DAYS = {"Put": "put_messages", "Get": "get_messages"}
# Queues of thread pools that we do not have. Tools fail on a missing key, so each says that nothing waits.
_POOLS = {"send": 10_000, "pull": 100_000, "litePull": 100_000, "query": 20_000, "ack": 100_000}
# A histogram of put times, always empty: RocketMQ's tools want the line, ours is the engine's.
_NO_PUT_TIMES = (
    "[<=0ms]:0 [0~10ms]:0 [10~50ms]:0 [50~100ms]:0 [100~200ms]:0 [200~500ms]:0 [500ms~1s]:0 [1~2s]:0 [2~3s]:0 [3~4s]:0"
    " [4~5s]:0 [5~10s]:0 [10s~]:0 "
)
# What belongs to parts that are not there yet.
_ABSENT = {
    "remainTransientStoreBufferNumbs": "2147483647",
    "remainHowManyDataToCommit": "0 B",
    "remainHowManyDataToFlush": "0 B",
    "pageCacheLockTimeMills": "0",
    "dispatchMaxBuffer": "0",
    "startAcceptSendRequestTimeStamp": "0",
    "timerReadBehind": "0",
    "timerOffsetBehind": "0",
    "timerCongestNum": "0",
    "timerEnqueueTps": "0.0",
    "timerDequeueTps": "0.0",
    "EndTransactionQueueSize": "0",
    "EndTransactionThreadPoolQueueCapacity": "100000",
    "putLatency99": "0.00",
    "putLatency999": "0.00",
    "putMessageDistributeTime": _NO_PUT_TIMES,
    "getMessageEntireTimeMax": "0",
    "putMessageEntireTimeMax": "0",
}


class RuntimeHandlers:
    """Requests about the state of this process.

    Args:
        engine: totals and positions.
        data: data folder, for the disk that it lies on.
    """

    def __init__(self, engine: Callable[[], Engine], data: Path) -> None:
        self._engine = engine
        self._data = data
        self.started_ms = time.time_ns() // 1_000_000
        self._rates = {name: Rate() for name in _RATES}
        self._daily_totals = {name: DailyTotals() for name in _DAYS}

    def sample(self, now: float, day: date) -> None:
        """Take the totals once a second, for the rates and the numbers of the day.

        Args:
            now: monotonic seconds.
            day: the day on the wall.
        """
        totals = self._engine().counters()
        for name, summands in _RATES.items():
            self._rates[name].sample(now, sum(totals.get(summand, 0) for summand in summands))
        for name, total in _DAYS.items():
            self._daily_totals[name].sample(day, totals.get(total, 0))

    async def show(self, request: Request) -> Reply:
        """28: every key that clusterList, brokerStatus, the dashboard and the exporter read, as texts."""
        # The oldest message may have to come from a disk: not on the event loop.
        oldest_ms = await asyncio.to_thread(oldest_store_time, self._engine())
        return Reply(body=encode_kv_table(self.table(time.time_ns() // 1_000_000, oldest_ms)))

    def table(self, now_ms: int, oldest_ms: int) -> dict[str, str]:
        """Give the table.

        Args:
            now_ms: wall clock.
            oldest_ms: store time of the oldest message, -1 if there is none.
        """
        engine = self._engine()
        status, totals = engine.status(), engine.counters()
        puts = totals.get("put_messages", 0)
        sizes = totals.get("put_bytes", 0)
        last = int(status.get("last_position", 0))
        table = {
            **_ABSENT,
            **self._disk(),
            "bootTimestamp": str(self.started_ms),
            "runtime": _runtime((now_ms - self.started_ms) // 1000),
            "brokerActive": "true",
            "brokerVersion": str(OWN_VERSION),
            "brokerVersionDesc": VERSION_DESCRIPTION,
            "commitLogMinOffset": "0",
            "commitLogMaxOffset": str(last),
            "dispatchBehindBytes": str(max(0, last - int(status.get("applied_position", last)))),
            "earliestMessageTimeStamp": str(oldest_ms),
            # Tools divide by it.
            "putMessageTimesTotal": str(max(1, puts)),
            "putMessageFailedTimes": str(totals.get("put_failed", 0)),
            "putMessageSizeTotal": str(sizes),
            # Ours: whoever watches sees that this replica's copy is damaged, that a clock was wrong, or that consumers
            # read old messages from the disk.
            "rotDetected": str(totals.get("rot_detected", 0)),
            "storeTimestampFalls": str(totals.get("timestamp_falls", 0)),
            "coldPulls": str(totals.get("get_cold", 0)),
            "putMessageAverageSize": str(sizes / puts if puts else 0.0),
        }
        for level, put, stored in delay_levels(engine):
            table[f"scheduleMessageOffset_{level}"] = f"{put},{stored}"
        for name, totals_of_day in self._daily_totals.items():
            table[f"msg{name}TotalYesterdayMorning"] = str(totals_of_day.yesterday)
            table[f"msg{name}TotalTodayMorning"] = str(totals_of_day.today)
            table[f"msg{name}TotalTodayNow"] = str(totals.get(_DAYS[name], 0))
        for name, rate in self._rates.items():
            table[name] = rate.text()
        for pool, capacity in _POOLS.items():
            table[f"{pool}ThreadPoolQueueSize"] = "0"
            table[f"{pool}ThreadPoolQueueCapacity"] = str(capacity)
            table[f"{pool}ThreadPoolQueueHeadWaitTimeMills"] = "0"
        return table

    def _disk(self) -> dict[str, str]:
        usage = shutil.disk_usage(self._data if self._data.exists() else self._data.anchor or ".")
        ratio = f"{usage.used / usage.total:.2f}"
        capacity = f"Total : {_gib(usage.total)}, Free : {_gib(usage.free)}."
        return {
            "commitLogDirCapacity": capacity,
            "commitLogDiskRatio": ratio,
            f"commitLogDiskRatio_{self._data}": ratio,
            "consumeQueueDiskRatio": ratio,
        }


def _gib(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB"


def _runtime(seconds: int) -> str:
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"[ {days} days, {hours} hours, {minutes} minutes, {seconds} seconds ]"
