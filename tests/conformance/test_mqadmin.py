"""Apache's own mqadmin 5.5.0 against a cluster: what it shows has the form that was recorded on Apache's."""

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import maven
from support.apache import ApacheCluster
from support.mqadmin import Mqadmin, Shown
from support.processes import wait_for
from support.speaker import ask, lenient_json, send_fields
from support.subject import Subject

pytestmark = pytest.mark.java

RECORDED = Path(__file__).parents[1] / "golden" / "mqadmin"
ADDRESS = re.compile(r"127\.0\.0\.1:\d+")
HEART_BEAT, UPDATE_OFFSET, SEND, TOPIC_ROUTE, CLUSTER_INFO, TOPIC_STATS = 34, 15, 310, 105, 106, 202
ROUTE_SECONDS = 30.0


@pytest.fixture(scope="module")
def mqadmin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mqadmin]:
    """The tool with a home of its own."""
    maven.require_java()
    tool = Mqadmin(tmp_path_factory.mktemp("mqadmin-home"))
    try:
        yield tool
    finally:
        tool.close()


@pytest.fixture
def topic() -> str:
    """A topic name that no client of another run can still know: ports of loopback are used again."""
    return f"mqadmin-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def cluster_name(subject: Subject) -> str:
    """Name of the cluster, as the NameServers tell it."""
    nameserver = subject.nameservers.split(";")[0]
    return str(next(iter(lenient_json(ask(nameserver, CLUSTER_INFO).body)["clusterAddrTable"])))


def recorded(name: str, **now: str) -> list[str]:
    """Lines of a recorded output, with the names of this run in place of those of then, and no addresses.

    Args:
        name: of the file.
        now: name of then to name of now.
    """
    lines = (RECORDED / f"{name}.txt").read_text().splitlines()[1:]
    return [line for text in lines if (line := plain("".join(replaced(text, now)))).strip()]


def replaced(text: str, now: dict[str, str]) -> str:
    for old, new in now.items():
        text = text.replace(old, new)
    return text


def plain(line: str) -> str:
    """A line without its addresses and without blanks at its end."""
    return ADDRESS.sub("ADDRESS", line).rstrip()


def lines(shown: Shown) -> list[str]:
    """What a command that worked has shown: it ends well whatever happens, but a failure leaves a stack trace."""
    assert "Exception" not in shown.errors, shown
    return [plain(line) for line in shown.lines]


def master(subject: Subject) -> str:
    name = subject.master()
    assert name is not None
    return subject.address(name)


def has_route(subject: Subject, topic: str) -> bool:
    return all(ask(address, TOPIC_ROUTE, {"topic": topic}).code == 0 for address in subject.nameservers.split(";"))


def create(mqadmin: Mqadmin, subject: Subject, cluster: str, topic: str) -> list[str]:
    shown = lines(mqadmin.run("updateTopic", subject.nameservers, "-c", cluster, "-t", topic, "-r", "4", "-w", "4"))
    wait_for(lambda: has_route(subject, topic), ROUTE_SECONDS, f"every NameServer to show {topic}")
    return shown


def consumed(subject: Subject, topic: str, group: str) -> None:
    """Two messages in queue 1, one of which a group has consumed that is not connected any more."""
    address = master(subject)
    beat = (
        f'{{"clientID":"{group}@1","consumerDataSet":[{{"groupName":"{group}","consumeType":"CONSUME_PASSIVELY",'
        f'"messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","subscriptionDataSet":['
        f'{{"topic":"{topic}","subString":"*","subVersion":1}}]}}],"producerDataSet":[]}}'
    )
    # What comes back first may be the notice of the group's new member.
    ask(address, HEART_BEAT, body=beat.encode())
    for _ in range(2):
        assert ask(address, SEND, send_fields(topic, 1, {"UNIQ_KEY": "x"}), b"x").code == 0
    wait_for(lambda: has_route(subject, f"%RETRY%{group}"), ROUTE_SECONDS, f"a retry topic of {group}")
    commit = {"consumerGroup": group, "topic": topic, "queueId": "1", "commitOffset": "1"}
    assert ask(address, UPDATE_OFFSET, commit).code == 0


def test_update_topic_on_a_cluster_and_on_a_broker_shows_what_it_made(
    subject: Subject, mqadmin: Mqadmin, cluster_name: str, topic: str
) -> None:
    assert create(mqadmin, subject, cluster_name, topic) == recorded("updateTopic", AdminT1=topic)
    options = ("-b", master(subject), "-t", topic, "-r", "2", "-w", "2", "-p", "6")
    assert lines(mqadmin.run("updateTopic", subject.nameservers, *options)) == recorded("updateTopic_b", AdminT2=topic)


def test_topic_list_route_and_status_show_a_topic(
    subject: Subject, mqadmin: Mqadmin, cluster_name: str, topic: str, group: str
) -> None:
    create(mqadmin, subject, cluster_name, topic)
    consumed(subject, topic, group)
    assert topic in lines(mqadmin.run("topicList", subject.nameservers))
    listed = lines(mqadmin.run("topicList", subject.nameservers, "-c"))
    assert listed[0] == recorded("topicList_c")[0]
    assert [cluster_name, topic, group] in [line.split() for line in listed]
    route = lines(mqadmin.run("topicRoute", subject.nameservers, "-t", topic))
    names = {"MqCluster": cluster_name, "g0": subject.group}
    # Brokers differ in their ids, nothing else.
    then = [line for line in recorded("topicRoute", **names) if "ADDRESS" not in line]
    assert [line for line in route if "ADDRESS" not in line] == then
    status = lines(mqadmin.run("topicStatus", subject.nameservers, "-t", topic))
    then = recorded("topicStatus")
    assert status[0] == then[0]
    assert [line.split()[:4] for line in status[1:5]] == [
        [subject.group, str(queue), "0", "2" if queue == 1 else "0"] for queue in range(4)
    ]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}", " ".join(status[2].split()[4:]))
    assert re.fullmatch(r"Topic Put TPS: \d+\.\d+", status[-1])
    assert len(status) == 6


def test_update_topic_perm_makes_a_topic_read_only(
    subject: Subject, mqadmin: Mqadmin, cluster_name: str, topic: str
) -> None:
    create(mqadmin, subject, cluster_name, topic)
    shown = lines(mqadmin.run("updateTopicPerm", subject.nameservers, "-b", master(subject), "-t", topic, "-p", "4"))
    assert shown[0] == "update topic perm from 6 to 4 in ADDRESS success."
    assert f"topicName={topic}, readQueueNums=4, writeQueueNums=4, perm=R--," in shown[1]
    nameserver = subject.nameservers.split(";")[0]
    wait_for(
        lambda: lenient_json(ask(nameserver, TOPIC_ROUTE, {"topic": topic}).body)["queueDatas"][0]["perm"] == 4,
        ROUTE_SECONDS, f"{topic} to be read-only",
    )  # fmt: skip


def test_update_broker_config_makes_a_whole_broker_read_only_and_writable_again(
    subject: Subject, mqadmin: Mqadmin, cluster_name: str, topic: str
) -> None:
    create(mqadmin, subject, cluster_name, topic)
    nameserver = subject.nameservers.split(";")[0]

    def is_shown_with(perm: int) -> bool:
        return bool(lenient_json(ask(nameserver, TOPIC_ROUTE, {"topic": topic}).body)["queueDatas"][0]["perm"] == perm)

    try:
        for perm in (4, 6):
            change = ("-b", master(subject), "-k", "brokerPermission", "-v", str(perm))
            shown = lines(mqadmin.run("updateBrokerConfig", subject.nameservers, *change))
            assert shown[0] == "update broker config success, ADDRESS"
            wait_for(lambda perm=perm: is_shown_with(perm), ROUTE_SECONDS, f"{topic} to have permission {perm}")  # type: ignore[misc]
    finally:
        mqadmin.run(
            "updateBrokerConfig", subject.nameservers, "-b", master(subject), "-k", "brokerPermission", "-v", "6"
        )


def test_delete_topic_takes_it_from_the_broker_and_from_every_nameserver(
    subject: Subject, mqadmin: Mqadmin, cluster_name: str, topic: str
) -> None:
    create(mqadmin, subject, cluster_name, topic)
    shown = lines(mqadmin.run("deleteTopic", subject.nameservers, "-c", cluster_name, "-t", topic))
    assert shown == recorded("deleteTopic", AdminT2=topic, MqCluster=cluster_name)
    assert ask(master(subject), TOPIC_STATS, {"topic": topic}).code == 17
    assert not any(ask(address, TOPIC_ROUTE, {"topic": topic}).code == 0 for address in subject.nameservers.split(";"))


def test_a_group_is_made_shown_and_deleted(subject: Subject, mqadmin: Mqadmin, cluster_name: str, group: str) -> None:
    made = lines(mqadmin.run("updateSubGroup", subject.nameservers, "-c", cluster_name, "-g", group))
    then = recorded("updateSubGroup", AdminG1=group)
    assert made[0] == then[0]
    # The recording is cut.
    assert made[1].startswith(then[1][:300])
    shown = lines(mqadmin.run("getConsumerConfig", subject.nameservers, "-g", group))
    assert shown[0].strip("=") == f"{cluster_name}:{subject.group}"
    values = dict(re.split(r"\s+=\s+", line, maxsplit=1) for line in shown[1:] if " = " in line)
    assert (values["groupName"], values["retryMaxTimes"], values["consumeBroadcastEnable"]) == (group, "16", "false")
    gone = lines(mqadmin.run("deleteSubGroup", subject.nameservers, "-c", cluster_name, "-g", group))
    assert gone[: len(recorded("deleteSubGroup"))] == recorded("deleteSubGroup", AdminG1=group, MqCluster=cluster_name)
    after = lines(mqadmin.run("getConsumerConfig", subject.nameservers, "-g", group))
    if isinstance(subject, ApacheCluster):
        # There the question makes the group again, with other defaults, as groups are made by themselves.
        assert after[0] == shown[0]
    else:
        assert after == []


def test_consumer_progress_shows_how_far_groups_are(
    subject: Subject, mqadmin: Mqadmin, cluster_name: str, topic: str, group: str
) -> None:
    create(mqadmin, subject, cluster_name, topic)
    consumed(subject, topic, group)
    all_groups = lines(mqadmin.run("consumerProgress", subject.nameservers))
    then = recorded("consumerProgress")
    assert all_groups[0] == then[0]
    # Columns of an offline group: name, members, version, rate, what is left.
    assert [group, "0", "OFFLINE", "0", "1"] in [line.split() for line in all_groups]
    one = lines(mqadmin.run("consumerProgress", subject.nameservers, "-g", group))
    then = recorded("consumerProgress_g")
    assert one[0] == then[0]
    rows = {tuple(line.split()[:3]): line.split()[3:7] for line in one[1:] if line.split()[1:2] == [subject.group]}
    assert rows[topic, subject.group, "1"] == ["2", "1", "1", "0"]
    assert rows[topic, subject.group, "0"] == ["0", "0", "0", "0"]
    assert [line.split(":")[0] for line in one[-3:]] == [line.split(":")[0] for line in then[-3:]]
    assert one[-2] == "Consume Diff Total: 1"
