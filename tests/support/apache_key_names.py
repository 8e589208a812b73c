"""The stored names of every key that Apache's configuration classes have."""

from pathlib import Path

FILE = Path(__file__).parents[1] / "golden" / "apache-keys.txt"


def stored_keys() -> dict[tuple[str, str], set[str]]:
    """Names by version and full class name."""
    found: dict[tuple[str, str], set[str]] = {}
    names: set[str] = set()
    for line in FILE.read_text().splitlines():
        if line.startswith("["):
            version, name = line.strip("[]").split()
            names = found.setdefault((version, name), set())
        elif line and not line.startswith("#"):
            names.add(line)
    return found
