"""What one NameServer is known to have of this replica, and what callers wait for. Pure: no clock, no socket."""

from collections.abc import Collection, Iterable

# What one topic registered by itself costs, in topics of a whole table: 0.3 ms for a request here and there beside
# some 5 us for a row that is read from the engine, written, and read and entered by the NameServer.
ROWS_OF_A_REQUEST = 64


class NameServerView:
    """What this replica knows of one NameServer.

    Attributes:
        revision: of the whole table that it took last; 0 is none.
        newest: of the newest that it took, be it a table or a topic.
        wanted: topics that a caller waits for, and as of which revision.
        wants_table: a caller waits for more than single topics.
        takes_topics: it takes topics one by one; those of 4.9 do not.
        in_order: whether its last sync ended well.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.newest = 0
        self.wanted: dict[str, int] = {}
        self.takes_topics = True
        self.in_order = True
        self._registered_topics: dict[str, int] = {}  # one by one, since the table
        self._table_wanted = 0

    @property
    def wants_table(self) -> bool:
        """Whether only a whole table helps those that wait."""
        return self._table_wanted > self.revision or bool(self.wanted)

    def want(self, revision: int, topics: Collection[str]) -> None:
        """Take note of a caller that waits for these topics, or for all if none is named."""
        if self.has_registered(revision, topics):
            return
        if topics:
            self.wanted.update(dict.fromkeys(topics, revision))
        else:
            self._table_wanted = revision

    def has_registered(self, revision: int, topics: Collection[str]) -> bool:
        """Whether it has these topics, or all if none is named, as they were at this revision or later."""
        if self.revision >= revision:
            return True
        return bool(topics) and all(self._registered_topics.get(topic, 0) >= revision for topic in topics)

    def is_topic_by_topic_cheaper(self, table_size: int) -> bool:
        """Whether topics one by one cost less than a table, and help all that wait."""
        is_cheap = 0 < len(self.wanted) * ROWS_OF_A_REQUEST <= table_size
        return is_cheap and self.takes_topics and self._table_wanted <= self.revision

    def took_table(self, revision: int) -> None:
        """It took a whole table."""
        self.revision = self.newest = revision
        self._registered_topics.clear()
        self.wanted = {topic: wanted for topic, wanted in self.wanted.items() if wanted > revision}

    def same_table(self, before: int, revision: int) -> None:
        """A new revision turned out to say the same as the one before."""
        if self.revision == before:
            self.took_table(revision)

    def took_topics(self, revision: int, topics: Iterable[str]) -> None:
        """It took topics one by one, as they were at this revision."""
        self.newest = revision
        for topic in topics:
            self._registered_topics[topic] = revision
            if self.wanted.get(topic, revision + 1) <= revision:
                del self.wanted[topic]

    def forgot(self) -> None:
        """Its connection closed: it knows nothing."""
        self.revision = self.newest = 0
        self.takes_topics = True  # another program may stand there now
        self._registered_topics.clear()
