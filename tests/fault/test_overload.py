"""A group that is asked for three times what it can do goes on doing what it can, for producers and for consumers."""

import sys
from pathlib import Path

from benches import overload
from benches.drivers import build_load

# Of all that waits within a broker's bounds, in each of three.
GROWS_AT_MOST_MB = 3 * 256


def test_an_overload_costs_no_election_no_message_and_no_memory_and_consumers_get_their_share(tmp_path: Path) -> None:
    build_load()
    # Election times that no slow machine misses: what must not be missed is a heartbeat behind clients' requests.
    found = overload.run(tmp_path, 5.0, 128, "raft", timing="wan")
    sys.stdout.write(
        f"goodput {found['goodput_share']:.0%} of the peak, normal after {found['seconds_until_normal']} s\n"
    )
    assert found["elections"] == 0
    assert found["over"]["consumed_share"] > 0.5
    assert found["rss_grew_mb"] < GROWS_AT_MOST_MB
