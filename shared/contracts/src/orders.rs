//! Matches that are ordered by id: what `POST /matches` takes and `GET /matches/{id}/settings` answers. Whoever arranges a match says
//! its settings once; an allocation names the id, and the game server fetches them.
//!
//! What a setting may be is said here once. Whether a server has such a mode or map only the server knows.

use core::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::servers::{NAME_BYTES_MAX, PLACES_MAX, hex128};

/// Bytes of an order's settings as JSON: some numbers and two names.
pub const SETTINGS_BYTES_MAX: usize = 4_096;

/// Teams of a match; 0 leaves it to the mode.
pub const TEAMS: RangeInclusive<u64> = 0..=16;

/// Seconds that a match may take: who arranges one wants it played, and a room back.
pub const MATCH_SECONDS: RangeInclusive<u64> = 5..=7_200;

/// Ticks a second.
pub const TICK_RATES: RangeInclusive<u64> = 1..=1_000;

/// How a match is to be played. What is left out is the server's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, deny_unknown_fields)]
pub struct OrderSettings {
    /// Name of the mode, 1 to 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = "control_point"))]
    pub mode: Option<String>,
    /// Teams, up to 16; 0 leaves it to the mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teams: Option<u8>,
    /// Seconds that the match takes at most, 5 to 7,200.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(example = 600))]
    pub match_seconds: Option<u32>,
    /// Whether a team can hurt its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub friendly_fire: Option<bool>,
    /// The seed: a text of digits, since many readers of JSON know only 53 bits.
    #[serde(skip_serializing_if = "Option::is_none", with = "seed")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "18446744073709551615"))]
    pub seed: Option<u64>,
    /// The map that the server must have, 1 to 64 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// Ticks a second that the server must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tick_rate: Option<u16>,
    /// Places that the server must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub players_max: Option<u16>,
}

/// A setting that no match can have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("settings.{field}: expected {expected}, found {found}")]
pub struct BadSetting {
    /// Which.
    pub field: &'static str,
    /// What it may be.
    pub expected: String,
    /// What it is.
    pub found: String,
}

impl OrderSettings {
    /// Whether any server could play it.
    pub fn check(&self) -> Result<(), BadSetting> {
        for (field, name) in [("mode", &self.mode), ("map", &self.map)] {
            if let Some(name) = name.as_ref().filter(|name| !(1..=NAME_BYTES_MAX).contains(&name.len())) {
                let (expected, found) = (format!("1 to {NAME_BYTES_MAX} bytes"), format!("{} bytes", name.len()));
                return Err(BadSetting { field, expected, found });
            }
        }
        let numbers = [
            ("teams", self.teams.map(u64::from), TEAMS),
            ("match_seconds", self.match_seconds.map(u64::from), MATCH_SECONDS),
            ("tick_rate", self.tick_rate.map(u64::from), TICK_RATES),
            ("players_max", self.players_max.map(u64::from), 1..=u64::from(PLACES_MAX)),
        ];
        for (field, number, range) in numbers {
            if let Some(found) = number.filter(|number| !range.contains(number)) {
                let expected = format!("a number from {} to {}", range.start(), range.end());
                return Err(BadSetting { field, expected, found: found.to_string() });
            }
        }
        Ok(())
    }
}

/// A match that was ordered: what `POST /matches` and `GET /matches/{id}/settings` answer. Readers ignore members that they do not
/// know beside these; in the settings nothing may be overlooked, since the match would be another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Ordered {
    /// The match: 32 hexadecimal digits.
    #[serde(rename = "match", with = "hex128")]
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "0123456789abcdef0123456789abcdef"))]
    pub match_id: u128,
    /// How it is to be played.
    pub settings: OrderSettings,
}

/// For serde: a number that may be left out, as a text of digits.
mod seed {
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(seed: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        match seed {
            Some(seed) => to.collect_str(seed),
            None => to.serialize_none(),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        let text = Option::<std::borrow::Cow<'_, str>>::deserialize(from)?;
        let parse = |text: std::borrow::Cow<'_, str>| text.parse().ok();
        let wrong = || D::Error::custom("expected a text of up to 20 digits");
        text.map(|text| parse(text).ok_or_else(wrong)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ordered_is_read_again_without_losing_a_digit() {
        let settings = OrderSettings {
            mode: Some("control_point".to_owned()),
            match_seconds: Some(600),
            seed: Some(u64::MAX),
            ..OrderSettings::default()
        };
        let ordered = Ordered { match_id: u128::MAX - 1, settings };
        let text = serde_json::to_string(&ordered).expect("written");
        assert!(text.contains(r#""seed":"18446744073709551615""#) && !text.contains("teams"), "{text}");
        assert_eq!(serde_json::from_str::<Ordered>(&text).expect("read"), ordered);
    }

    #[test]
    fn a_setting_that_no_match_can_have_is_named_with_what_it_may_be() {
        for (text, told) in [
            (r#"{"mode":""}"#, "settings.mode: expected 1 to 64 bytes, found 0 bytes"),
            (r#"{"teams":17}"#, "settings.teams: expected a number from 0 to 16, found 17"),
            (r#"{"match_seconds":4}"#, "settings.match_seconds: expected a number from 5 to 7200, found 4"),
            (r#"{"players_max":1001}"#, "settings.players_max: expected a number from 1 to 1000, found 1001"),
        ] {
            let settings: OrderSettings = serde_json::from_str(text).expect("read");
            assert_eq!(settings.check().expect_err(text).to_string(), told);
        }
        for text in [r#"{"gravity":0}"#, r#"{"seed":7}"#, r#"{"seed":"x"}"#, r#"{"teams":-1}"#] {
            assert!(serde_json::from_str::<OrderSettings>(text).is_err(), "{text}");
        }
    }
}
