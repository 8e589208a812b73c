//! The two kinds of message id: where a record lies, and what its producer called it. They look alike.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::record::host;

const HEX: &[u8; 16] = b"0123456789ABCDEF";
const DAY_MS: u64 = 86_400_000;

/// An id that is not an offset id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message id: {length} characters that are not host, port and offset in hex")]
pub struct MessageIdError {
    /// Characters of the refused id.
    pub length: usize,
}

/// The id of a stored message: upper-case hex of the broker's address, its port (4 bytes) and the record's physical
/// offset (8 bytes). 32 characters, 56 with IPv6.
pub fn offset_id(store_host: SocketAddr, physical_offset: u64) -> String {
    let mut bytes = Vec::with_capacity(host::V6_LEN + 8);
    host::encode(store_host, &mut bytes);
    bytes.extend_from_slice(&physical_offset.to_be_bytes());
    hex(&bytes)
}

/// Broker and physical offset of an offset id, in either letter case.
///
/// # Errors
/// [`MessageIdError`]. A unique id may pass by chance: form does not tell the two apart.
pub fn parse(id: &str) -> Result<(SocketAddr, u64), MessageIdError> {
    let refused = MessageIdError { length: id.len() };
    if id.len() != 2 * (host::V4_LEN + 8) && id.len() != 2 * (host::V6_LEN + 8) {
        return Err(refused);
    }
    let bytes = unhex(id.as_bytes()).ok_or(refused.clone())?;
    let (broker, offset) = bytes.split_last_chunk::<8>().ok_or(refused.clone())?;
    Ok((
        host::decode(broker).ok_or(refused)?,
        u64::from_be_bytes(*offset),
    ))
}

/// Makes the ids that producers put into `UNIQ_KEY`.
///
/// Upper-case hex of address, low 16 bits of the process id, 4 bytes that tell makers of one process apart, 4 bytes of
/// milliseconds since the month began, 2 bytes of a counter.
#[derive(Debug)]
pub struct UniqueIdMaker {
    prefix: String,
    counter: AtomicU16,
}

impl UniqueIdMaker {
    /// A maker; `salt` is a random number, constant for the maker.
    pub fn new(address: IpAddr, process_id: u32, salt: u32) -> Self {
        let mut bytes = Vec::with_capacity(16 + 2 + 4);
        match address.to_canonical() {
            IpAddr::V4(address) => bytes.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => bytes.extend_from_slice(&address.octets()),
        }
        bytes.extend_from_slice(&(process_id as u16).to_be_bytes());
        bytes.extend_from_slice(&salt.to_be_bytes());
        Self {
            prefix: hex(&bytes),
            counter: AtomicU16::new(0),
        }
    }

    /// The next id, at this time of the Unix clock. Ids differ as long as fewer than 65,536 are made in a millisecond.
    ///
    /// The month is that of UTC, where Java takes the local one: who reads the time back is off by the zone at most.
    pub fn make(&self, now_ms: u64) -> String {
        let since_month = (now_ms - month_start_ms(now_ms)) as u32;
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut id = String::with_capacity(self.prefix.len() + 12);
        id.push_str(&self.prefix);
        push_hex(&since_month.to_be_bytes(), &mut id);
        push_hex(&count.to_be_bytes(), &mut id);
        id
    }
}

/// The first instant of the UTC month in which `now_ms` lies.
fn month_start_ms(now_ms: u64) -> u64 {
    // Days since 1 March of year 0, in eras of 400 years: the day on which a month begins depends on no leap day.
    let days = now_ms / DAY_MS + 719_468;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month + 2) / 5;
    (now_ms / DAY_MS).saturating_sub(day_of_month) * DAY_MS
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    push_hex(bytes, &mut text);
    text
}

fn push_hex(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
}

fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    digits
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2023-11-14 22:13:20 UTC.
    const NOW_MS: u64 = 1_700_000_000_000;

    #[test]
    fn an_offset_id_is_host_port_and_offset_in_hex() {
        let four: SocketAddr = "192.168.0.10:10911".parse().unwrap();
        assert_eq!(offset_id(four, 4096), "C0A8000A00002A9F0000000000001000");
        let six: SocketAddr = "[2001:db8::a]:10911".parse().unwrap();
        assert_eq!(
            offset_id(six, 4096),
            "20010DB800000000000000000000000A00002A9F0000000000001000"
        );
        for host in [four, six] {
            assert_eq!(parse(&offset_id(host, u64::MAX)), Ok((host, u64::MAX)));
            assert_eq!(parse(&offset_id(host, 7).to_lowercase()), Ok((host, 7)));
        }
    }

    #[test]
    fn what_is_no_offset_id_is_refused() {
        let port_beyond_16_bits = "C0A8000A00012A9F0000000000001000";
        let not_hex = "C0A8000A00002A9F000000000000100G";
        for id in [
            "",
            "C0A8",
            port_beyond_16_bits,
            not_hex,
            &"é".repeat(16),
            &"0".repeat(33),
        ] {
            assert_eq!(parse(id), Err(MessageIdError { length: id.len() }), "{id}");
        }
    }

    #[test]
    fn a_unique_id_is_address_process_salt_time_and_counter() {
        let maker = UniqueIdMaker::new("192.168.0.5".parse().unwrap(), 0x0001_04d2, 0x251d_3f4e);
        let month_start = month_start_ms(NOW_MS);
        let first = maker.make(month_start + 0x6e5a_1b2c);
        assert_eq!(first, "C0A8000504D2251D3F4E6E5A1B2C0000");
        assert_eq!(
            maker.make(month_start + 0x6e5a_1b2c),
            "C0A8000504D2251D3F4E6E5A1B2C0001"
        );
        let six = UniqueIdMaker::new("2001:db8::a".parse().unwrap(), 1, 2);
        assert_eq!(six.make(NOW_MS).len(), 56);
    }

    #[test]
    fn ids_of_one_maker_differ() {
        let maker = UniqueIdMaker::new("127.0.0.1".parse().unwrap(), 1, 2);
        let ids: std::collections::HashSet<String> =
            (0..65_536).map(|_| maker.make(NOW_MS)).collect();
        assert_eq!(ids.len(), 65_536);
    }

    #[test]
    fn a_month_starts_where_the_calendar_says() {
        let mut day = 0;
        for year in 1970..2110 {
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let february = if leap { 29 } else { 28 };
            for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
                let start = day * DAY_MS;
                assert_eq!(month_start_ms(start), start, "{year}");
                assert_eq!(month_start_ms(start + days * DAY_MS - 1), start, "{year}");
                day += days;
            }
        }
        assert_eq!(month_start_ms(NOW_MS), 1_698_796_800_000);
    }
}
