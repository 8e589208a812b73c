"""Leadership goes back to the member that a topology prefers."""

import json
import subprocess
from pathlib import Path

from support.processes import wait_for
from support.tern import PROGRAM, TernCluster

BACK_SECONDS = 60


def test_leadership_that_was_moved_away_goes_back_to_the_preferred_member(tmp_path: Path) -> None:
    folder = tmp_path / "cluster"
    cluster = TernCluster(folder, preferred_leader="n2")
    try:
        cluster.up()
        preferred, other = f"{cluster.group}/n2", f"{cluster.group}/n0"
        moved = subprocess.run(
            [PROGRAM, "cluster", "transfer-leader", cluster.group, "--to", "n0", "--data", folder],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert moved.returncode == 0 or "leads already" in moved.stderr, moved.stderr
        wait_for(lambda: cluster.master() == other, 10, f"{other} to lead")
        wait_for(lambda: cluster.master() == preferred, BACK_SECONDS, f"{preferred} to lead again")
        shown = subprocess.run(
            [PROGRAM, "broker", "raft", "--json", "--data", folder], capture_output=True, text=True, timeout=30
        )
        causes = [row["cause"] for row in json.loads(shown.stdout)["items"] if row["role"] == "leader"]
        assert causes == ["handed_over"]
        assert "handing over to n2, which is preferred and has kept up" in cluster.log(other).read_text()
    finally:
        cluster.down()
