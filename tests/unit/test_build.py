"""What is under test is what would be shipped."""

from pathlib import Path

from ternmq import _core

# Written in two parts, as the simulator's own test does, so that no source file is taken for an artefact.
MARK = b"planted bugs " + b"are compiled in."


def test_the_extension_cannot_plant_bugs() -> None:
    assert _core.__file__ is not None
    assert MARK not in Path(_core.__file__).read_bytes()
