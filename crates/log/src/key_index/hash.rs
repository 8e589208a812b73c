//! The hash by which messages are found: 64 bits of a topic and a key.
//!
//! RocketMQ indexes the text `topic#key`. No topic contains `#`, so hashing the two one after the other tells the same
//! pairs apart, builds no text, and does the topic once for all keys of a message:
//!
//! ```text
//! absorb(state, text):  for each 8 bytes of the text, little-endian, the last ones filled up with zeros:
//!                           state = mix(state xor word)
//!                       mix(state xor number of bytes)
//! mix(x):               twice: x = (x xor x >> 32) * 0x9e3779b97f4a7c15; then x xor x >> 32; modulo 2^64
//! hash(topic, key):     absorb(absorb(0, topic), key)
//! ```
//!
//! It has no secret: who wants two keys with one hash can make them. So readers compare the key in the record.

const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes the keys of one topic.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher(u64);

impl KeyHasher {
    /// For messages of this topic.
    pub fn new(topic: &str) -> Self {
        Self(absorb(0, topic.as_bytes()))
    }

    /// The hash of a key in this topic.
    pub fn hash(self, key: &str) -> u64 {
        absorb(self.0, key.as_bytes())
    }
}

fn absorb(mut state: u64, text: &[u8]) -> u64 {
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        state = mix(state ^ u64::from_le_bytes(*word));
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        state = mix(state ^ u64::from_le_bytes(word));
    }
    mix(state ^ text.len() as u64)
}

const fn mix(mut x: u64) -> u64 {
    x = (x ^ x >> 32).wrapping_mul(FACTOR);
    x = (x ^ x >> 32).wrapping_mul(FACTOR);
    x ^ x >> 32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn the_hash_stays_what_it_is() {
        let hash = |topic, key| KeyHasher::new(topic).hash(key);
        assert_eq!(hash("", ""), 0);
        assert_eq!(hash("TopicTest", "k1"), 0x3e2f_880f_6930_0f96);
        assert_eq!(
            hash("TopicTest", "C0A8000504D2251D3F4E6E5A1B2C0001"),
            0x46b3_a2c6_1a53_af37
        );
    }

    #[test]
    fn keys_that_differ_little_have_different_hashes() {
        let mut seen = HashSet::new();
        for topic in ["t", "t\0", "tt", "orders", "orders2"] {
            let hasher = KeyHasher::new(topic);
            for number in 0..20_000 {
                assert!(seen.insert(hasher.hash(&number.to_string())));
                assert!(seen.insert(hasher.hash(&format!("k-{number}\0"))));
            }
        }
        assert!(!seen.contains(&KeyHasher::new("orders1").hash("2")));
    }
}
