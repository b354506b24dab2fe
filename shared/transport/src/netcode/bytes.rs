//! Little-endian values in byte slices, every read checked.

use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// Address kinds on the wire. The standard's prose says 0 and 1 in one place; its tables and every implementation say these.
const IPV4: u8 = 1;
const IPV6: u8 = 2;

/// Reads from the front of a slice; `None` once the slice is too short or a value is out of range.
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (front, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(front)
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| *byte)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(|bytes| u16::from_le_bytes(*bytes))
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(|bytes| u32::from_le_bytes(*bytes))
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(|bytes| u64::from_le_bytes(*bytes))
    }

    /// An address; IPv6 as eight 16-bit groups, each little-endian.
    pub fn address(&mut self) -> Option<SocketAddr> {
        match self.u8()? {
            IPV4 => {
                let ip = Ipv4Addr::from(*self.array::<4>()?);
                Some(SocketAddr::from((ip, self.u16()?)))
            }
            IPV6 => {
                let mut groups = [0; 8];
                for group in &mut groups {
                    *group = self.u16()?;
                }
                Some(SocketAddr::from((Ipv6Addr::from(groups), self.u16()?)))
            }
            _ => None,
        }
    }
}

/// Writes to the front of a buffer that its caller has made long enough.
pub(crate) struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, at: 0 }
    }

    pub fn put(&mut self, bytes: &[u8]) {
        self.buffer[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    pub fn address(&mut self, address: &SocketAddr) {
        match address {
            SocketAddr::V4(v4) => {
                self.put(&[IPV4]);
                self.put(&v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                self.put(&[IPV6]);
                v6.ip().segments().iter().for_each(|group| self.put(&group.to_le_bytes()));
            }
        }
        self.put(&address.port().to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_is_eight_little_endian_groups() {
        let address: SocketAddr = "[2001:db8::7]:40000".parse().unwrap();
        let mut buffer = [0; 19];
        Writer::new(&mut buffer).address(&address);
        assert_eq!(buffer[..5], [2, 0x01, 0x20, 0xB8, 0x0D]);
        assert_eq!(buffer[15..], [7, 0, 0x40, 0x9C]);
        assert_eq!(Reader(&buffer).address(), Some(address));
    }

    #[test]
    fn an_unknown_kind_of_address_is_refused() {
        for kind in [0, 3, 255] {
            assert_eq!(Reader(&[kind; 19]).address(), None);
        }
    }
}
