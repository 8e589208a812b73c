//! The key-value store of a name server: 100, 101, 102, 219.

use super::declare::header;

header! {
    /// 100: store a value.
    PutKv<'a> {
        /// Namespace.
        namespace: &'a str = b"namespace",
        /// Key.
        key: &'a str = b"key",
        /// Value.
        value: &'a str = b"value",
    }
}

header! {
    /// 101 and 102: read or delete one value.
    KvKey<'a> {
        /// Namespace.
        namespace: &'a str = b"namespace",
        /// Key.
        key: &'a str = b"key",
    }
}

header! {
    /// Answer to 101.
    GetKvResponse<'a> {
        /// Value.
        value: Option<&'a str> = b"value",
    }
}

header! {
    /// 219: all pairs of a namespace.
    KvNamespace<'a> {
        /// Namespace.
        namespace: &'a str = b"namespace",
    }
}
