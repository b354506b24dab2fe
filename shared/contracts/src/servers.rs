//! How a game server tells the services of itself: the JSON body of `PUT /servers/{id}`, sent every second. Who reads it ignores
//! members that it does not know, so that servers may be newer than services.
//!
//! Numbers of 64 and 128 bits are texts: many readers of JSON know only 53 bits.

use core::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Addresses of a server: as many as a connect token holds.
pub const ADDRESSES_MAX: usize = 32;

/// Rooms of a server.
pub const ROOMS_MAX: usize = 256;

/// Places of a room.
pub const PLACES_MAX: u16 = 1_000;

/// Bytes of the name of a mode or of a map.
pub const NAME_BYTES_MAX: usize = 64;

/// Bytes of a build: as many as a connect token holds.
pub const BUILD_BYTES_MAX: usize = 32;

/// The netcode protocol id of servers from before they said which.
pub const FIRST_PROTOCOL_ID: u64 = 0x4152_4249_5445_5202;

/// Bytes of a registration: 256 rooms, and the players of a server with all its 8,192 connections, each with twenty digits.
pub const REGISTRATION_BYTES_MAX: usize = 512 << 10;

/// What a game server is and what it hosts now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Registration {
    /// Where players reach it, in the order to try: 1 to 32.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, example = json!(["192.0.2.1:7777"])))]
    pub addresses: Vec<SocketAddr>,
    /// Its version, up to 32 bytes.
    pub build: String,
    /// What its clients have to agree to: 16 hexadecimal digits.
    #[serde(with = "hex64")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "00c0ffee00c0ffee"))]
    pub protocol_hash: u64,
    /// The netcode protocol id that connect tokens for it name: 16 hexadecimal digits. Left out by servers of protocol 4 and before, which
    /// have one.
    #[serde(with = "hex64", default = "first_protocol_id")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, required = false, example = "4152424954455203"))]
    pub protocol_id: u64,
    /// Its rooms that have not ended: up to 256.
    pub rooms: Vec<RoomState>,
}

/// That of servers that do not say which.
fn first_protocol_id() -> u64 {
    FIRST_PROTOCOL_ID
}

/// What a room hosts now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoomState {
    /// Its number on its server.
    pub room: u16,
    /// The match: 32 hexadecimal digits.
    #[serde(rename = "match", with = "hex128")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0123456789abcdef0123456789abcdef"))]
    pub match_id: u128,
    /// How often the match was taken up again after a failure. Of two rooms that claim a match, the one with the higher number
    /// has it.
    pub epoch: u32,
    /// Name of the mode, 1 to 64 bytes.
    pub mode: String,
    /// Name of the map, 1 to 64 bytes.
    pub map: String,
    /// Ticks a second.
    pub tick_rate: u16,
    /// Places that are taken, by those who are on their way too.
    pub players: u16,
    /// Places, 1 to 1,000.
    pub players_max: u16,
    /// Spectators.
    #[serde(default)]
    pub spectators: u16,
    /// Spectators at most; 0 where nobody may watch.
    #[serde(default)]
    pub spectators_max: u16,
    /// Whether it takes players.
    pub open: bool,
    /// The players who have a place, their connections standing or lost, as far as they have numbers: texts of digits.
    #[serde(default, with = "numbers")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, example = json!(["7"])))]
    pub holders: Vec<u64>,
}

macro_rules! hexadecimal {
    ($name:ident, $number:ty, $digits:literal, $what:literal) => {
        #[doc = concat!("For serde: a number as ", $what, ".")]
        pub mod $name {
            use serde::de::Error as _;
            use serde::{Deserialize as _, Deserializer, Serializer};

            /// The number of a text, if it has so many digits and nothing else.
            pub fn parse(text: &str) -> Option<$number> {
                let digits = text.len() == $digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                digits.then(|| <$number>::from_str_radix(text, 16).ok()).flatten()
            }

            #[expect(missing_docs, reason = "serde's own")]
            pub fn serialize<S: Serializer>(number: &$number, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(&format_args!(concat!("{:0", $digits, "x}"), number))
            }

            #[expect(missing_docs, reason = "serde's own")]
            pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$number, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(from)?;
                parse(&text).ok_or_else(|| D::Error::custom(concat!("expected ", $what)))
            }
        }
    };
}

hexadecimal!(hex64, u64, 16, "16 hexadecimal digits, the letters small");
hexadecimal!(hex128, u128, 32, "32 hexadecimal digits, the letters small");

/// For serde: numbers as texts of digits.
mod numbers {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(numbers: &[u64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(numbers.iter().map(u64::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
        let texts = Vec::<std::borrow::Cow<'_, str>>::deserialize(from)?;
        let number = |text: &std::borrow::Cow<'_, str>| text.parse::<u64>();
        texts.iter().map(number).collect::<Result<_, _>>().map_err(|_| D::Error::custom("expected texts of digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_writes_is_read_again_without_losing_a_digit() {
        let room = RoomState {
            room: 3,
            match_id: u128::MAX - 1,
            epoch: 2,
            mode: "control_point".into(),
            map: "arena".into(),
            tick_rate: 60,
            players: 2,
            players_max: 10,
            spectators: 1,
            spectators_max: 4,
            open: true,
            holders: vec![u64::MAX, 7],
        };
        let addresses =
            vec!["192.0.2.1:7777".parse().expect("an address"), "[2001:db8::7]:1".parse().expect("an address")];
        let (build, protocol_hash, protocol_id) = ("0.1.0".into(), 0xc0ffee, u64::MAX - 7);
        let written = Registration { addresses, build, protocol_hash, protocol_id, rooms: vec![room] };
        let text = serde_json::to_string(&written).expect("written");
        assert!(text.contains(r#""protocol_hash":"0000000000c0ffee""#), "{text}");
        assert!(text.contains(r#""18446744073709551615""#), "{text}");
        assert_eq!(serde_json::from_str::<Registration>(&text).expect("read"), written);
    }

    #[test]
    fn a_server_of_protocol_4_does_not_say_what_its_tokens_name() {
        let text = r#"{"addresses":["192.0.2.1:7777"],"build":"0.0.9","protocol_hash":"0000000000c0ffee","rooms":[]}"#;
        assert_eq!(serde_json::from_str::<Registration>(text).expect("read").protocol_id, FIRST_PROTOCOL_ID);
    }

    #[test]
    fn a_hash_is_written_in_one_way() {
        for text in ["", "c0ffee", "0000000000C0FFEE", "+000000000c0ffee", "0x00000000c0ffee", " 000000000c0ffee"] {
            assert_eq!(hex64::parse(text), None, "{text}");
        }
    }
}
