//! Addresses in records and message ids: 4 or 16 bytes of address, 4 bytes of port, big-endian.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of an IPv4 host.
pub(crate) const V4_LEN: usize = 8;
/// Bytes of an IPv6 host.
pub(crate) const V6_LEN: usize = 20;

/// The address in the form that is stored: an IPv4 client of a dual-stack socket is an IPv4 client.
fn stored(host: SocketAddr) -> IpAddr {
    host.ip().to_canonical()
}

/// Bytes that `host` takes.
pub(crate) fn len(host: SocketAddr) -> usize {
    if stored(host).is_ipv4() {
        V4_LEN
    } else {
        V6_LEN
    }
}

/// `bit` if `host` is IPv6, else 0.
pub(crate) fn bit(host: SocketAddr, bit: i32) -> i32 {
    if stored(host).is_ipv4() { 0 } else { bit }
}

/// Bytes that a host takes according to its bit in a system flag.
pub(crate) fn width(sys_flag: i32, bit: i32) -> usize {
    if sys_flag & bit == 0 { V4_LEN } else { V6_LEN }
}

/// Appends `host`.
pub(crate) fn encode(host: SocketAddr, out: &mut Vec<u8>) {
    match stored(host) {
        IpAddr::V4(address) => out.extend_from_slice(&address.octets()),
        IpAddr::V6(address) => out.extend_from_slice(&address.octets()),
    }
    out.extend_from_slice(&u32::from(host.port()).to_be_bytes());
}

/// The host in these bytes, of which there are 8 or 20; `None` if the port is none.
pub(crate) fn decode(bytes: &[u8]) -> Option<SocketAddr> {
    let (address, port) = bytes.split_last_chunk::<4>()?;
    let port = u16::try_from(u32::from_be_bytes(*port)).ok()?;
    let address = match address.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}
