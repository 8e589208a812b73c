"""The last frame of the demonstration is true."""

from __future__ import annotations

from rich.console import Console

from ternmq.cluster.demo.display import LiveDisplay, Snapshot

NODE = {"name": "group-a/n0", "role": "leader", "pid": 7, "address": "127.0.0.1:10911"}


def _frame(display: LiveDisplay) -> str:
    console = Console(width=120)
    with console.capture() as captured:
        console.print(display._render())
    return captured.get()


def test_nodes_that_have_been_stopped_lead_nothing_and_the_figures_stay() -> None:
    display = LiveDisplay()
    display.show(Snapshot([NODE], {}, acknowledged=67_667, consumed=67_667))
    assert "leader" in _frame(display)
    display.stopped()
    frame = _frame(display)
    assert "leader" not in frame
    assert "acknowledged 67,667  consumed 67,667" in frame
