"""The demonstration: a cluster under load loses a master, then two NameServers, and nothing that was acknowledged."""
