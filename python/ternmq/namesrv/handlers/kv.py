"""Key-value configuration: 100, 101, 102, 219."""

from ternmq.namesrv.kv_store import KvStore
from ternmq.protocol.codes import ResponseCode
from ternmq.protocol.fields import name_field, text_field
from ternmq.protocol.tables import encode_kv_table
from ternmq.remoting import Reply, Request


class KvHandlers:
    """Requests of tools about the key-value table.

    Args:
        kv: the table.
    """

    def __init__(self, kv: KvStore) -> None:
        self._kv = kv

    def put(self, request: Request) -> Reply:
        """100."""
        fields = request.fields
        self._kv.put(name_field(fields, "namespace"), name_field(fields, "key"), text_field(fields, "value"))
        return Reply()

    def get(self, request: Request) -> Reply:
        """101."""
        namespace, key = name_field(request.fields, "namespace"), name_field(request.fields, "key")
        value = self._kv.get(namespace, key)
        if value is None:
            return Reply(ResponseCode.QUERY_NOT_FOUND, f"No config item, Namespace: {namespace} Key: {key}")
        return Reply(fields={"value": value})

    def delete(self, request: Request) -> Reply:
        """102."""
        self._kv.delete(name_field(request.fields, "namespace"), name_field(request.fields, "key"))
        return Reply()

    def namespace(self, request: Request) -> Reply:
        """219."""
        namespace = name_field(request.fields, "namespace")
        pairs = self._kv.namespace(namespace)
        if pairs is None:
            return Reply(ResponseCode.QUERY_NOT_FOUND, f"No config item, Namespace: {namespace}")
        return Reply(body=encode_kv_table(pairs))
