//! Damage to valid bytes. Random bytes would hardly ever get past the first length.

use arbitrary::Arbitrary;

/// One change to a buffer. Places count from the start and wrap around.
#[derive(Arbitrary, Debug, Clone)]
pub enum Damage {
    /// Overwrites a byte.
    Set(u16, u8),
    /// Flips a bit.
    Flip(u16, u8),
    /// Puts bytes in.
    Insert(u16, Vec<u8>),
    /// Takes bytes out.
    Remove(u16, u8),
    /// Repeats bytes from one place at another.
    Copy(u16, u16, u8),
    /// Writes a lying length of four bytes.
    Length(u16, LyingLength),
    /// Ends the buffer here.
    Cut(u16),
}

/// Lengths that decoders get wrong.
#[derive(Arbitrary, Debug, Clone)]
pub enum LyingLength {
    /// A little more or less than what stands there.
    Near(i8),
    /// -1.
    Negative,
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// None at all.
    Zero,
}

impl Damage {
    /// Changes `bytes`.
    pub fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let size = bytes.len();
        let place = |at: &u16| usize::from(*at) % size;
        match self {
            Self::Set(at, value) => bytes[place(at)] = *value,
            Self::Flip(at, bit) => bytes[place(at)] ^= 1 << (bit % 8),
            Self::Insert(at, more) => {
                bytes.splice(place(at)..place(at), more.iter().copied());
            }
            Self::Remove(at, count) => {
                let start = place(at);
                let end = size.min(start + usize::from(*count));
                bytes.drain(start..end);
            }
            Self::Copy(from, to, count) => {
                let start = place(from);
                let end = size.min(start + usize::from(*count));
                let copied = bytes[start..end].to_vec();
                bytes.splice(place(to)..place(to), copied);
            }
            Self::Length(at, lie) => lie.write(&mut bytes[place(at)..]),
            Self::Cut(at) => bytes.truncate(place(at)),
        }
    }
}

impl LyingLength {
    fn write(&self, bytes: &mut [u8]) {
        let Some(place) = bytes.first_chunk_mut::<4>() else {
            return;
        };
        let value = match self {
            Self::Near(by) => i32::from_be_bytes(*place).wrapping_add(i32::from(*by)),
            Self::Negative => -1,
            Self::Max => i32::MAX,
            Self::Min => i32::MIN,
            Self::Zero => 0,
        };
        *place = value.to_be_bytes();
    }
}
