"""Every configuration key of Apache's brokers: what it becomes here, or why it means nothing, or why it is refused.

Apache's processes ignore unknown keys silently, so a mistyped key there runs for years. Here every key is one of four
kinds: mapped, known without meaning here, known and refused, unknown.

Source: RocketMQ 4.9 and 5.5, BrokerConfig, MessageStoreConfig, NettyServerConfig, NettyClientConfig, AuthConfig and the
configuration of tiered storage. `tests/conformance/test_java_configuration.py` holds the list against those classes.
"""

from dataclasses import dataclass
from typing import Literal

from ternmq.config.apache_ignored import IGNORED
from ternmq.config.apache_places import BROKER_PLACES, taken
from ternmq.config.settings import BROKER

Kind = Literal["mapped", "ignored", "refused"]


@dataclass(frozen=True)
class ApacheKey:
    """What one key means here.

    Attributes:
        kind: "refused" keys are refused unless their value is one of `harmless`.
        text: mapped: our name for it; ignored: why it has no meaning; refused: what to do instead.
        harmless: values, in lower case with single blanks, under which a refused key says nothing that we do not do
            anyway; no value at all always does.
    """

    kind: Kind
    text: str
    harmless: frozenset[str] = frozenset()


BROKER_KEYS: dict[str, ApacheKey] = {name: ApacheKey("ignored", why) for name, why in IGNORED.items()}


def _refused(why: str, harmless: str, names: str) -> None:
    for name in names.split():
        BROKER_KEYS[name] = ApacheKey("refused", why, frozenset(harmless.split("|")))


for _key, _ours in taken(BROKER_PLACES, BROKER):
    BROKER_KEYS[_key] = ApacheKey("mapped", _ours)

_refused(
    "access control is not there yet, and it is never dropped silently; remove the key and keep the node on loopback"
    " or a trusted network (--insecure)",
    "false",
    "aclEnable authenticationEnabled authorizationEnabled migrateAuthFromV1Enabled",
)
_refused(
    "a group has one consensus here, not two: remove enableControllerMode and controllerAddr, and name the members with"
    " enableDLegerCommitLog=true, dLegerGroup, dLegerPeers and dLegerSelfId",
    "false",
    "enableControllerMode",
)
_refused(
    "a group is made read-only while it runs (`ternmq cluster drain-group`): remove the key or set it to 6",
    "6",
    "brokerPermission",
)
_refused(
    "it would show messages that may still be taken back; remove the key",
    "false",
    "readUnCommitted",
)
_refused(
    "slaves that act as master are not there; a Raft group elects a master instead; remove the key",
    "false",
    "enableSlaveActingMaster enableRemoteEscape",
)
_refused(
    "a delayed opening for sends is not there; remove the key",
    "0",
    "startAcceptSendRequestTimeStamp",
)
_refused(
    "stores of Java brokers are not read; remove the key and move the messages with a client",
    "",
    "readOnlyCommitLogStorePaths",
)
_refused(
    "brokers run one in a process here; remove the key",
    "false",
    "isInBrokerContainer isBrokerContainer inBrokerContainer",
)
_refused(
    "TLS is not there yet, and it is never dropped silently; remove the key and keep the node on loopback or a trusted"
    " network (--insecure)",
    "false",
    "useTLS",
)
_refused(
    "the 18 delay levels are fixed, and a message would come at another time than asked for; remove the key and use the"
    " levels of 1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
    "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
    "messageDelayLevel",
)
_refused(
    "store plug-ins are Java classes, and without tiered storage everything stays on this disk; remove the key",
    "",
    "messageStorePlugIn",
)
_refused(
    "light queues are not there, and messages would miss in them; remove the key",
    "false",
    "enableLmq enableMultiDispatch",
)
_refused(
    "a name is not looked up for a list of NameServers; remove the key and list them in namesrvAddr",
    "false",
    "fetchNameSrvAddrByDnsLookup",
)
