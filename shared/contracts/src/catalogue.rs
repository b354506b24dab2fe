//! Every type of event, in one place: its name, who may see it, who emits it, whom it is about, and since which version of the
//! contracts it is there. A new event is a message in `proto/` and a line here.

use prost::Message as _;

use crate::v1;

/// How what is in an event must be treated. There is no class for personal data, because no event holds any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Classification {
    /// Anyone may see it.
    Public,
    /// It names players by number: for the studio and its services.
    Pseudonymous,
    /// It is about money and what is worth money: for the services that need it.
    Financial,
    /// It is about cheating and faults: for operators.
    Internal,
}

impl Classification {
    /// Its name in an envelope.
    pub fn name(self) -> &'static str {
        match self {
            Classification::Public => "public",
            Classification::Pseudonymous => "pseudonymous",
            Classification::Financial => "financial",
            Classification::Internal => "internal",
        }
    }
}

/// What is known of a type without an event of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `type` of the envelope.
    pub name: &'static str,
    /// Name of the message in `proto/`.
    pub message: &'static str,
    /// Who may see it.
    pub classification: Classification,
    /// Who emits it: room, economy or persistence.
    pub emitter: &'static str,
    /// What the envelope's subject is: match, player or account.
    pub subject: &'static str,
    /// Version of the contracts that added it.
    pub since: u32,
}

macro_rules! events {
    ($($name:literal $message:ident $class:ident $emitter:literal $subject:literal $since:literal,)*) => {
        /// A payload of a known type.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "each is the message of its name, described in docs/events.md")]
        pub enum Event {
            $($message(v1::$message),)*
        }

        /// All types, in the order in which they were added.
        pub const KINDS: &[Kind] = &[$(Kind {
            name: $name,
            message: stringify!($message),
            classification: Classification::$class,
            emitter: $emitter,
            subject: $subject,
            since: $since,
        },)*];

        impl Event {
            /// `type` of the envelope.
            pub fn type_name(&self) -> &'static str {
                match self { $(Event::$message(_) => $name,)* }
            }

            /// Bytes of the payload.
            pub fn encode(&self) -> Vec<u8> {
                match self { $(Event::$message(message) => message.encode_to_vec(),)* }
            }

            /// Reads a payload; `None` if the type is not known.
            pub fn decode(type_name: &str, payload: &[u8]) -> Option<Result<Self, prost::DecodeError>> {
                match type_name {
                    $($name => Some(v1::$message::decode(payload).map(Event::$message)),)*
                    _ => None,
                }
            }
        }

        $(impl From<v1::$message> for Event {
            fn from(message: v1::$message) -> Self {
                Event::$message(message)
            }
        })*
    };
}

events! {
    "arbiter.match.started.v1" MatchStarted Public "room" "match" 1,
    "arbiter.match.ended.v1" MatchEnded Pseudonymous "room" "match" 1,
    "arbiter.match.round.started.v1" RoundStarted Public "room" "match" 1,
    "arbiter.match.round.ended.v1" RoundEnded Public "room" "match" 1,
    "arbiter.match.player.joined.v1" PlayerJoined Pseudonymous "room" "player" 1,
    "arbiter.match.player.left.v1" PlayerLeft Pseudonymous "room" "player" 1,
    "arbiter.match.player.killed.v1" PlayerKilled Pseudonymous "room" "player" 1,
    "arbiter.match.objective.captured.v1" ObjectiveCaptured Public "room" "match" 1,
    "arbiter.match.loot.taken.v1" LootTaken Pseudonymous "room" "player" 1,
    "arbiter.match.achievement.progressed.v1" AchievementProgressed Pseudonymous "room" "player" 1,
    "arbiter.match.anomaly.detected.v1" AnomalyDetected Internal "room" "player" 1,
    "arbiter.match.body.quarantined.v1" BodyQuarantined Internal "room" "match" 1,
    "arbiter.match.room.recovered.v1" RoomRecovered Public "room" "match" 1,
    "arbiter.match.custom.v1" Custom Internal "room" "match" 1,
    "arbiter.account.opened.v1" AccountOpened Financial "economy" "account" 1,
    "arbiter.account.frozen.v1" AccountFrozen Financial "economy" "account" 1,
    "arbiter.wallet.changed.v1" WalletChanged Financial "economy" "account" 1,
    "arbiter.inventory.changed.v1" InventoryChanged Financial "economy" "player" 1,
    "arbiter.purchase.completed.v1" PurchaseCompleted Financial "economy" "player" 1,
    "arbiter.purchase.reversed.v1" PurchaseReversed Financial "economy" "player" 1,
    "arbiter.grant.issued.v1" GrantIssued Financial "economy" "player" 1,
}

impl Event {
    /// What is known of its type.
    pub fn kind(&self) -> &'static Kind {
        let name = self.type_name();
        // Both come out of the one macro above.
        KINDS.iter().find(|kind| kind.name == name).expect("every event has its kind")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_types_are_unique_and_carry_their_version() {
        let mut names: Vec<_> = KINDS.iter().map(|kind| kind.name).collect();
        assert!(names.iter().all(|name| name.starts_with("arbiter.") && name.ends_with(".v1")));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), KINDS.len());
    }

    #[test]
    fn the_version_of_the_contracts_is_that_of_the_newest_type() {
        assert_eq!(KINDS.iter().map(|kind| kind.since).max(), Some(crate::CONTRACTS));
    }
}
