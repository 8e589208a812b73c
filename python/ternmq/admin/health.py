"""Whether a cluster is well, judged by what its NameServers show and what every replica says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ternmq.admin.leadership import ReplicaStatus, believed_leader, group_members
from ternmq.client import BrokerInfo, ClusterInfo
from ternmq.errors import BodyError, UnsupportedError
from ternmq.remoting import Endpoint

Level = Literal["ok", "warning", "critical"]

LAG_BYTES = 64 << 20
"""A replica that lacks more than its leader keeps in memory for it is read to from the disk."""
LAG_MS = 10_000
"""A replica that has lacked something for so long does not keep up."""
DISK_USED = 0.85
"""Share of the disk in use from which RocketMQ's brokers warn."""


_CAUSES = {
    "started": "elected when the group started",
    "leader_silent": "its predecessor fell silent",
    "leader_gone": "its predecessor's process was gone",
    "handed_over": "its predecessor handed over",
    "promoted": "an operator promoted it",
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        subject: a NameServer's address, a group, or ``group/member``.
        level: ``ok``; ``warning`` where everything is served and something is not as it should be; ``critical`` where
            clients are refused, or what is stored is in danger.
        finding: what is so, in words.
        advice: what to do; None if nothing.
    """

    subject: str
    level: Level
    finding: str
    advice: str | None = None


async def look_at_health(
    endpoint: Endpoint,
    nameservers: Sequence[str],
    views: Sequence[ClusterInfo],
    expected: Mapping[str, Collection[str]] | None = None,
) -> list[Finding]:
    """Ask every replica that any NameServer shows or that should be there, and judge.

    Args:
        endpoint: the network.
        nameservers: addresses of all NameServers.
        views: what those that answered show.
        expected: addresses of the replicas that should be there, by group. Without it a group of which no replica runs
            is not missed: NameServers forget who is gone.

    Raises:
        MQError: a group cannot be asked.
    """
    merged = _merged(views, expected or {})
    names = sorted(merged.brokers)
    answers = await asyncio.gather(*(group_members(endpoint, merged, name) for name in names), return_exceptions=True)
    groups: dict[str, Mapping[str, ReplicaStatus]] = {}
    findings = []
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, UnsupportedError | BodyError):
            findings.append(Finding(name, "ok", f"shown, and not looked into: {answer}"))
        elif isinstance(answer, BaseException):
            raise answer
        else:
            groups[name] = answer
    for name, members in groups.items():
        findings.extend(judge_group(name, members))
    return [*judge_nameservers(nameservers, views, groups), *findings]


def judge_nameservers(
    nameservers: Sequence[str], views: Sequence[ClusterInfo], groups: Mapping[str, Mapping[str, ReplicaStatus]]
) -> list[Finding]:
    """Judge each NameServer by whether it answers and shows the masters that there are.

    Args:
        nameservers: addresses of all.
        views: what those that answered show.
        groups: what the replicas of each group say, by address.
    """
    shown = {view.nameserver: view for view in views}
    findings = []
    for address in nameservers:
        view = shown.get(address)
        if view is None:
            said = f"does not answer; {len(views)} of {len(nameservers)} do"
            advice = "start it again: the cluster works while one of them does"
            findings.append(Finding(address, "warning", said, advice))
            continue
        wrong = [name for name, members in groups.items() if (led := _led_from(members)) and _master(view, name) != led]
        if wrong:
            said = f"shows no master, or another one, of {', '.join(wrong)}"
            advice = "look again in a moment: brokers register with each NameServer within seconds"
            findings.append(Finding(address, "warning", said, advice))
        else:
            findings.append(Finding(address, "ok", f"answers, and shows the masters of {_counted(view.brokers)}"))
    return findings


def judge_group(group: str, members: Mapping[str, ReplicaStatus]) -> list[Finding]:
    """Judge a group, and each replica of it that is not as it should be.

    Args:
        group: broker group.
        members: what its replicas say of themselves, by address; those that do not answer are missing.
    """
    findings = [_judge_leadership(group, list(members.values()))]
    findings.extend(_differing(group, members.values()))
    leader = believed_leader(members.values())
    for status in sorted(members.values(), key=lambda status: status.member):
        findings.extend(_judge_replica(f"{group}/{status.member}", status))
    for follower in leader.followers if leader else ():
        if follower.bytes_behind > LAG_BYTES or follower.lag_ms > LAG_MS:
            said = (
                f"lacks {follower.bytes_behind} bytes of its leader's log, and has for {follower.lag_ms / 1000:.1f} s"
            )
            advice = "see whether its disk and its network keep up; it cannot take over without loss of time"
            findings.append(Finding(f"{group}/{follower.member}", "warning", said, advice))
    return findings


def _judge_leadership(group: str, answered: list[ReplicaStatus]) -> Finding:
    if not answered:
        return Finding(group, "critical", "no replica answers, so nothing is served", "start its replicas again")
    known = sorted({member for status in answered for member in (*status.members, status.member)})
    missing = sorted(set(known) - {status.member for status in answered})
    mode = next((status.mode for status in answered if status.mode), "")
    there = f"{len(answered)} of {len(known)} members answer" + (f", not {', '.join(missing)}" if missing else "")
    start = f"start {', '.join(f'{group}/{member}' for member in missing)} again" if missing else None
    leader = believed_leader(answered)
    if leader is None:
        if mode in ("async-slave", "sync-double-write"):
            start = f"{start}, or `ternmq cluster promote {group} MEMBER`: see `ternmq cluster promote --help`"
        advice = start or "look at the members' logs: `ternmq broker raft`"
        return Finding(group, "critical", f"has no leader, so sends are refused; {there}", advice)
    since = f" for {leader.role_ms / 1000:.0f} s" if leader.role_ms else ""
    why = f" ({_CAUSES.get(leader.election.cause, leader.election.cause)})" if leader.election else ""
    led = f"{leader.member} leads in term {leader.term}{since}{why}"
    if not missing:
        return Finding(group, "ok", f"{led}; {there}")
    spare = len(answered) - (len(known) // 2 + 1)
    if mode == "raft" and spare <= 0:
        return Finding(group, "warning", f"{led}; {there}: if one more fails, sends are refused", start)
    return Finding(group, "warning", f"{led}; {there}", start)


def _judge_replica(name: str, status: ReplicaStatus) -> Iterable[Finding]:
    if status.rot_detected:
        said = f"met damage in its log {status.rot_detected} times since its start, and leads no more"
        yield Finding(name, "critical", said, "read its log for the place; its copy is not to be trusted")
    if status.disk_condition not in ("", "well"):
        how = "hangs" if status.disk_condition == "hangs" else "is slow beside the others'"
        said = f"its disk {how}, so it does not lead"
        yield Finding(name, "warning", said, "look at the disk; it may lead again by itself when that is over")
    if status.disk and status.disk.free_bytes < (1 - DISK_USED) * status.disk.total_bytes:
        free = f"{status.disk.free_bytes / (1 << 30):.1f} of {status.disk.total_bytes / (1 << 30):.1f} GiB"
        yield Finding(name, "warning", f"its disk has {free} left", "make room before sends are refused")


def _differing(group: str, members: Iterable[ReplicaStatus]) -> Iterable[Finding]:
    """Replicas whose states differ though they have applied the same frames: a mistake in ternmq, or a bad memory."""
    by_index: dict[int, dict[str, list[str]]] = {}
    for status in members:
        if status.state_hash:
            by_index.setdefault(status.applied_index, {}).setdefault(status.state_hash, []).append(status.member)
    for index, hashes in by_index.items():
        if len(hashes) > 1:
            sides = " and ".join("/".join(sorted(members)) for members in hashes.values())
            said = f"the states of {sides} differ at frame {index}"
            yield Finding(group, "critical", said, "keep the data directories of all members, and report it")


def _led_from(members: Mapping[str, ReplicaStatus]) -> str | None:
    leader = believed_leader(members.values())
    return next((address for address, status in members.items() if status is leader), None)


def _master(view: ClusterInfo, group: str) -> str | None:
    shown = view.brokers.get(group)
    return shown.master if shown else None


def _merged(views: Sequence[ClusterInfo], expected: Mapping[str, Collection[str]]) -> ClusterInfo:
    """Give each group with all addresses that any NameServer shows or that are expected; the ids are made up."""
    groups: dict[str, tuple[str, set[str]]] = {}
    for view in views:
        for name, group in view.brokers.items():
            groups.setdefault(name, (group.cluster, set()))[1].update(group.addresses.values())
    for name, addresses in expected.items():
        groups.setdefault(name, ("", set()))[1].update(addresses)
    return ClusterInfo(
        "all of them",
        {
            name: BrokerInfo(name, cluster, dict(enumerate(sorted(known))))
            for name, (cluster, known) in sorted(groups.items())
        },
    )


def _counted(groups: Mapping[str, object]) -> str:
    return f"{len(groups)} group{'' if len(groups) == 1 else 's'}"
