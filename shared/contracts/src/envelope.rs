//! The envelope: CloudEvents 1.0 in its protobuf format, so that any CloudEvents library can read who, what and when.
//!
//! Everything read is hostile: lengths have limits, and what is not there or not of its kind is named.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message as _;
use prost_types::Timestamp;
use thiserror::Error;

use crate::catalogue::{Event, Kind};
use crate::trace::TraceContext;
use crate::wire::CloudEvent;
use crate::wire::cloud_event::cloud_event_attribute_value::Attr;
use crate::wire::cloud_event::{CloudEventAttributeValue, Data};
use crate::{CONTRACTS, KINDS};

/// Bytes of an encoded event at most: the results of a match of a thousand players take about 40 KB.
pub const EVENT_BYTES_MAX: usize = 256 << 10;

/// Bytes of an id, source, subject or type at most.
pub const NAME_BYTES_MAX: usize = 256;

/// Attributes at most: ours, and some of those who pass events on.
pub const ATTRIBUTES_MAX: usize = 32;

/// How payloads are encoded; `datacontenttype` of the envelope.
pub const CONTENT_TYPE: &str = "application/protobuf";

/// All that stands around a payload. Classification and type come from the payload.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attributes {
    /// Unique together with the source; the same whenever the fact is told again. 1 to 256 bytes.
    pub id: String,
    /// Who emitted it: `/matches/ID` or `/services/economy`. 1 to 256 bytes.
    pub source: String,
    /// Whom it is about, in its kind's sense: `matches/ID`, `players/N`, `accounts/N`. Up to 256 bytes.
    pub subject: String,
    /// When it happened, since 1970. A room derives it from the match's beginning and the tick, so that a replay says the same.
    pub time: Duration,
    /// Grows by one from event to event of a source; a gap means that something is missing.
    pub sequence: u64,
    /// W3C trace context of what led to it; empty for none.
    pub traceparent: String,
}

/// An event with its envelope.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// What stands around it.
    pub attributes: Attributes,
    /// The fact.
    pub event: Event,
}

/// Why an event cannot be encoded; a fault of who emits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// Missing or too long.
    #[error("the event's {0} is empty or longer than {NAME_BYTES_MAX} bytes")]
    Name(&'static str),
    /// Not a trace context.
    #[error("the event's traceparent is not one of W3C's trace context, version 00")]
    Traceparent,
    /// Too large.
    #[error("the event has {0} bytes, and at most {EVENT_BYTES_MAX} are allowed")]
    TooLarge(usize),
}

/// Why an event cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// Too large.
    #[error("the event has {0} bytes, and at most {EVENT_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// Not protobuf, or not of this shape.
    #[error("the event's bytes are not those of a {0}")]
    Malformed(&'static str),
    /// Not there, or not of its kind.
    #[error("the event's attribute {0} is missing or makes no sense")]
    Attribute(&'static str),
    /// Another version of CloudEvents.
    #[error("the event is of CloudEvents {0}; this build reads 1.0")]
    SpecVersion(String),
    /// A type that this build does not know.
    #[error(
        "the event {id} has type {type_name}, which needs version {needs} of the contracts, and this build knows version \
         {CONTRACTS}: update this consumer and start it again; nothing was skipped"
    )]
    UnknownType {
        /// Id of the event.
        id: String,
        /// Its type.
        type_name: String,
        /// Version of the contracts that the emitter says knows it.
        needs: u32,
    },
}

fn string(text: &str) -> CloudEventAttributeValue {
    CloudEventAttributeValue { attr: Some(Attr::CeString(text.to_owned())) }
}

impl Envelope {
    /// Bytes on the wire and in a log: the same for the same event.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let Attributes { id, source, subject, traceparent, .. } = &self.attributes;
        for (what, text, least) in [("id", id, 1), ("source", source, 1), ("subject", subject, 0)] {
            if text.len() < least || text.len() > NAME_BYTES_MAX {
                return Err(EncodeError::Name(what));
            }
        }
        if !traceparent.is_empty() && TraceContext::parse(traceparent).is_none() {
            return Err(EncodeError::Traceparent);
        }
        let event = CloudEvent {
            id: id.clone(),
            source: source.clone(),
            spec_version: "1.0".to_owned(),
            r#type: self.event.type_name().to_owned(),
            attributes: self.wire_attributes(),
            data: Some(Data::BinaryData(self.event.encode())),
        };
        let bytes = event.encode_to_vec();
        if bytes.len() > EVENT_BYTES_MAX { Err(EncodeError::TooLarge(bytes.len())) } else { Ok(bytes) }
    }

    fn wire_attributes(&self) -> BTreeMap<String, CloudEventAttributeValue> {
        let (kind, attributes) = (self.event.kind(), &self.attributes);
        let time = Timestamp {
            seconds: i64::try_from(attributes.time.as_secs()).unwrap_or(i64::MAX),
            nanos: attributes.time.subsec_nanos() as i32,
        };
        let mut out = BTreeMap::from([
            ("datacontenttype".to_owned(), string(CONTENT_TYPE)),
            ("time".to_owned(), CloudEventAttributeValue { attr: Some(Attr::CeTimestamp(time)) }),
            // The sequence extension: a text that sorts as the numbers do.
            ("sequence".to_owned(), string(&format!("{:020}", attributes.sequence))),
            ("dataclassification".to_owned(), string(kind.classification.name())),
            ("contracts".to_owned(), CloudEventAttributeValue { attr: Some(Attr::CeInteger(kind.since as i32)) }),
        ]);
        for (name, text) in [("subject", &attributes.subject), ("traceparent", &attributes.traceparent)] {
            if !text.is_empty() {
                out.insert(name.to_owned(), string(text));
            }
        }
        out
    }

    /// Reads an event. Attributes and fields that are not known are ignored; a type that is not known is an error.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (event, attributes, needs) = read(bytes)?;
        let Some(Data::BinaryData(payload)) = &event.data else { return Err(DecodeError::Attribute("data")) };
        match Event::decode(&event.r#type, payload) {
            Some(Ok(event)) => Ok(Self { attributes, event }),
            Some(Err(_)) => Err(DecodeError::Malformed(message_of(&event.r#type))),
            None => Err(DecodeError::UnknownType { id: event.id, type_name: event.r#type, needs }),
        }
    }
}

impl Attributes {
    /// Reads what stands around a payload, whether or not its type is known: for those who pass events on.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        read(bytes).map(|(_, attributes, _)| attributes)
    }
}

/// An event on the wire, its attributes, and the version of the contracts that it needs.
fn read(bytes: &[u8]) -> Result<(CloudEvent, Attributes, u32), DecodeError> {
    if bytes.len() > EVENT_BYTES_MAX {
        return Err(DecodeError::TooLarge(bytes.len()));
    }
    let event = CloudEvent::decode(bytes).map_err(|_| DecodeError::Malformed("CloudEvent"))?;
    if event.spec_version != "1.0" {
        return Err(DecodeError::SpecVersion(event.spec_version.chars().take(16).collect()));
    }
    for (what, text) in [("id", &event.id), ("source", &event.source), ("type", &event.r#type)] {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(DecodeError::Attribute(what));
        }
    }
    let named = Named(&event.attributes);
    let attributes = named.read(&event.id, &event.source)?;
    let needs = named.contracts()?;
    Ok((event, attributes, needs))
}

fn message_of(type_name: &str) -> &'static str {
    KINDS.iter().find(|kind| kind.name == type_name).map_or("payload", |kind: &Kind| kind.message)
}

struct Named<'a>(&'a BTreeMap<String, CloudEventAttributeValue>);

impl Named<'_> {
    fn text(&self, name: &'static str) -> Result<String, DecodeError> {
        match self.0.get(name).and_then(|value| value.attr.as_ref()) {
            None => Ok(String::new()),
            Some(Attr::CeString(text)) if text.len() <= NAME_BYTES_MAX => Ok(text.clone()),
            Some(_) => Err(DecodeError::Attribute(name)),
        }
    }

    fn contracts(&self) -> Result<u32, DecodeError> {
        match self.0.get("contracts").and_then(|value| value.attr.as_ref()) {
            Some(Attr::CeInteger(version)) if *version > 0 => Ok(version.unsigned_abs()),
            _ => Err(DecodeError::Attribute("contracts")),
        }
    }

    fn time(&self) -> Result<Duration, DecodeError> {
        match self.0.get("time").and_then(|value| value.attr.as_ref()) {
            Some(Attr::CeTimestamp(time)) if time.seconds >= 0 && (0..1_000_000_000).contains(&time.nanos) => {
                Ok(Duration::new(time.seconds.unsigned_abs(), time.nanos.unsigned_abs()))
            }
            _ => Err(DecodeError::Attribute("time")),
        }
    }

    fn read(&self, id: &str, source: &str) -> Result<Attributes, DecodeError> {
        if self.0.len() > ATTRIBUTES_MAX {
            return Err(DecodeError::Attribute("count"));
        }
        let traceparent = self.text("traceparent")?;
        if !traceparent.is_empty() && TraceContext::parse(&traceparent).is_none() {
            return Err(DecodeError::Attribute("traceparent"));
        }
        let sequence = self.text("sequence")?.parse().map_err(|_| DecodeError::Attribute("sequence"))?;
        let (id, source, subject) = (id.to_owned(), source.to_owned(), self.text("subject")?);
        Ok(Attributes { id, source, subject, time: self.time()?, sequence, traceparent })
    }
}
