//! Socket addresses as keys.

use core::hash::{Hash, Hasher};
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Says that the address is IPv4: in [`AddressKey::rest`], above the port.
const IS_IPV4: u64 = 1 << 16;

/// A peer's address in 24 bytes.
///
/// The flow label of IPv6 is left out, because it may change from packet to packet; the scope is kept, because without it a
/// link-local peer could not be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AddressKey {
    high: u64,
    low: u64,
    /// Port, family, and the scope in the upper half.
    rest: u64,
}

impl Hash for AddressKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.high);
        state.write_u64(self.low);
        state.write_u64(self.rest);
    }
}

impl AddressKey {
    pub fn new(address: SocketAddr) -> Self {
        match address {
            SocketAddr::V4(v4) => {
                Self { high: 0, low: u64::from(v4.ip().to_bits()), rest: u64::from(v4.port()) | IS_IPV4 }
            }
            SocketAddr::V6(v6) => {
                let bits = v6.ip().to_bits();
                let rest = u64::from(v6.port()) | u64::from(v6.scope_id()) << 32;
                Self { high: (bits >> 64) as u64, low: bits as u64, rest }
            }
        }
    }

    /// Where to send to.
    pub fn address(self) -> SocketAddr {
        let port = self.rest as u16;
        if self.rest & IS_IPV4 != 0 {
            return SocketAddr::from((Ipv4Addr::from_bits(self.low as u32), port));
        }
        let ip = Ipv6Addr::from_bits(u128::from(self.high) << 64 | u128::from(self.low));
        SocketAddr::V6(SocketAddrV6::new(ip, port, 0, (self.rest >> 32) as u32))
    }

    /// Whom to charge for a handshake: an IPv4 address, or the /64 network that one holder of IPv6 addresses has at least.
    pub fn source(self) -> (u64, u64) {
        if self.rest & IS_IPV4 != 0 { (u64::MAX, self.low) } else { (self.high, 0) }
    }
}

/// Whether two addresses are the same place: an IPv4 address is the same mapped into IPv6, and scope and flow label, which a
/// token cannot carry, do not matter.
pub(crate) fn is_same_place(one: &SocketAddr, other: &SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_its_key_without_the_flow_label() {
        for text in ["1.2.3.4:5", "255.255.255.255:65535", "[::1]:7000", "[2001:db8::1:2]:65535", "[fe80::1%3]:9"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(AddressKey::new(address).address(), address);
        }
        let flow = |flow| AddressKey::new(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 1, flow, 0)));
        assert_eq!(flow(7), flow(0));
    }

    #[test]
    fn the_families_do_not_meet() {
        let keys = ["0.0.0.1:5", "[::1]:5", "[::ffff:0.0.0.1]:5"].map(|text| AddressKey::new(text.parse().unwrap()));
        assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2]);
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let source = |text: &str| AddressKey::new(text.parse().unwrap()).source();
        assert_eq!(source("[2001:db8::1]:5"), source("[2001:db8::ffff:1]:6"));
        assert_ne!(source("[2001:db8::1]:5"), source("[2001:db8:0:1::1]:5"));
        assert_ne!(source("1.2.3.4:5"), source("1.2.3.5:5"));
    }
}
