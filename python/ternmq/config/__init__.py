"""Configuration: the topology file, Apache's own files, and one frozen object for each process."""

from ternmq.config.broker_conf import BrokerConf, read_broker_conf
from ternmq.config.generate import generate_topology
from ternmq.config.namesrv_conf import NameServerConf, read_namesrv_conf
from ternmq.config.node import BrokerConfig, Member, NameServerConfig, broker_config, nameserver_config
from ternmq.config.rules import check_topology, topology_warnings
from ternmq.config.topology import Topology
from ternmq.config.topology_file import dump_topology, load_topology, parse_topology

__all__ = [
    "BrokerConf",
    "BrokerConfig",
    "Member",
    "NameServerConf",
    "NameServerConfig",
    "Topology",
    "broker_config",
    "check_topology",
    "dump_topology",
    "generate_topology",
    "load_topology",
    "nameserver_config",
    "parse_topology",
    "read_broker_conf",
    "read_namesrv_conf",
    "topology_warnings",
]
