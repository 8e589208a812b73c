//! A record's keys into the key index.

use tern_log::{KeyHasher, KeyIndex};
use tern_wire::properties::names::{KEYS, UNIQ_KEY};
use tern_wire::record::Record;
use tern_wire::sys_flag::{TRANSACTION_MASK, TRANSACTION_ROLLBACK};

/// What stands between the keys of a message.
const KEY_SEPARATOR: char = ' ';

/// Adds the keys of one record.
pub fn index_keys(index: &KeyIndex, record: &Record<'_>) {
    if let Some(mut writer) = KeyWriter::of(index, record) {
        for (name, value) in tern_wire::properties::iter(record.properties()) {
            writer.property(name, value);
        }
    }
}

/// Adds the keys of one record while its properties are walked: an entry for the unique id and for every word of the
/// keys, as in `RocketMQ`. A name that comes twice costs an entry that leads to nothing.
pub(crate) struct KeyWriter<'a> {
    index: &'a KeyIndex,
    record: &'a Record<'a>,
    hasher: Option<KeyHasher>,
}

impl<'a> KeyWriter<'a> {
    /// None for a record that is not indexed.
    pub fn of(index: &'a KeyIndex, record: &'a Record<'a>) -> Option<Self> {
        let rolled_back = record.sys_flag() & TRANSACTION_MASK == TRANSACTION_ROLLBACK;
        (!rolled_back).then_some(Self {
            index,
            record,
            hasher: None,
        })
    }

    /// Take one property.
    pub fn property(&mut self, name: &str, value: &str) {
        match name {
            UNIQ_KEY => self.add(value),
            KEYS => words(value).for_each(|key| self.add(key)),
            _ => {}
        }
    }

    fn add(&mut self, key: &str) {
        let topic = self.record.topic();
        let hasher = self.hasher.get_or_insert_with(|| KeyHasher::new(topic));
        let stored_ms = u64::try_from(self.record.store_timestamp_ms()).unwrap_or(0);
        let hash = hasher.hash(key);
        self.index
            .append(hash, self.record.physical_offset(), stored_ms);
    }
}

/// The keys in the value of the property `KEYS`.
pub fn words(keys: &str) -> impl Iterator<Item = &str> {
    keys.split(KEY_SEPARATOR).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tern_log::KeyLimits;
    use tern_testdisk::MemoryDisk;
    use tern_wire::record::{NewRecord, encode};

    fn found(properties: &str, sys_flag: i32, keys: &[&str]) -> Vec<bool> {
        let host = "127.0.0.1:1".parse().expect("an address");
        let record = NewRecord {
            queue_id: 0,
            flag: 0,
            sys_flag,
            born_timestamp_ms: 1,
            born_host: host,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"m",
            topic: "t",
            properties: properties.as_bytes(),
        };
        let mut bytes = Vec::new();
        encode(&record, &mut bytes).expect("a record fits");
        tern_wire::record::stamp(&mut bytes, 0, 4096, 1000);
        let disk = std::sync::Arc::new(MemoryDisk::new());
        let index = KeyIndex::open(disk, "/keys", KeyLimits::default()).expect("a directory");
        let record = Record::parse(&bytes).expect("encoded above");
        index_keys(&index, &record);
        let find = |key: &str| index.find(KeyHasher::new("t").hash(key), 1000, 1000, 9);
        let found = |key: &&str| find(key).expect("in memory") == [4096];
        keys.iter().map(found).collect()
    }

    #[test]
    fn the_unique_id_and_every_word_of_the_keys_are_indexed() {
        let keys = ["a", "b", "U", "a b", "", "x"];
        let all = "TAGS\u{1}x\u{2}KEYS\u{1} a  b \u{2}UNIQ_KEY\u{1}U";
        assert_eq!(
            found(all, 0, &keys),
            [true, true, true, false, false, false]
        );
        assert_eq!(found("NOKEYS\u{1}a\u{2}", 0, &keys), [false; 6]);
        assert_eq!(
            found("KEYS\u{1}\u{2}UNIQ_KEY\u{1}\u{2}", 0, &keys),
            [false; 6]
        );
        assert_eq!(found("", 0, &keys), [false; 6]);
    }

    #[test]
    fn a_rolled_back_message_is_not_indexed_and_a_prepared_one_is() {
        assert_eq!(found("KEYS\u{1}a", TRANSACTION_ROLLBACK, &["a"]), [false]);
        assert_eq!(found("KEYS\u{1}a", 4, &["a"]), [true]);
    }
}
