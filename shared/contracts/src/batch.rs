//! Many events in one body: `CloudEventBatch` of CloudEvents' protobuf format, which is nothing but its events one behind another.
//!
//! The bytes of each event stay as they are: an event's bytes are what logs keep and compare.

use prost::encoding::{decode_varint, encode_varint};
use thiserror::Error;

use crate::envelope::EVENT_BYTES_MAX;

/// Media type of a batch.
pub const CONTENT_TYPE: &str = "application/cloudevents-batch+protobuf";

/// Events of one batch at most.
pub const EVENTS_MAX: usize = 4_096;

/// Bytes of one batch at most.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// Field 1, length-delimited.
const TAG: u8 = 1 << 3 | 2;

/// Tag and length of one event at most.
const HEAD_BYTES_MAX: usize = 6;

/// Bytes that are no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadBatch {
    /// Not protobuf, or not of this shape.
    #[error("the body is no CloudEventBatch: it must be events, each behind the byte 10 and its length")]
    Malformed,
    /// Too many.
    #[error("the batch has more than {EVENTS_MAX} events: send fewer at once")]
    TooMany,
    /// One is too large.
    #[error("an event of the batch has {0} bytes, and at most {EVENT_BYTES_MAX} are allowed")]
    TooLarge(usize),
}

/// How many of these events, from the first on, one batch holds: at least one if there is any.
pub fn fitting(lengths: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    let fits = |length: usize| {
        bytes += length + HEAD_BYTES_MAX;
        bytes <= BATCH_BYTES_MAX
    };
    lengths.take(EVENTS_MAX).map(fits).take_while(|fits| *fits).count()
}

/// A body of these events.
pub fn encode<'a>(events: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        out.push(TAG);
        encode_varint(event.len() as u64, &mut out);
        out.extend_from_slice(event);
    }
    out
}

/// The events of a body, as they were sent.
pub fn decode(mut body: &[u8]) -> Result<Vec<&[u8]>, BadBatch> {
    let mut events = Vec::new();
    while let Some((tag, rest)) = body.split_first() {
        body = rest;
        let length = decode_varint(&mut body).map_err(|_| BadBatch::Malformed)?;
        let length = usize::try_from(length).map_err(|_| BadBatch::Malformed)?;
        if *tag != TAG || length > body.len() {
            return Err(BadBatch::Malformed);
        }
        if length > EVENT_BYTES_MAX {
            return Err(BadBatch::TooLarge(length));
        }
        if events.len() == EVENTS_MAX {
            return Err(BadBatch::TooMany);
        }
        let (event, rest) = body.split_at(length);
        events.push(event);
        body = rest;
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_comes_out_byte_for_byte() {
        let events: Vec<Vec<u8>> = (0..300_usize).map(|length| vec![length as u8; length]).collect();
        let body = encode(events.iter().map(Vec::as_slice));
        assert_eq!(decode(&body).expect("a batch"), events);
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        for wrong in [&[TAG][..], &[TAG, 5, 1], &[0x12, 1, 1], &[TAG, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]] {
            assert_eq!(decode(wrong), Err(BadBatch::Malformed), "{wrong:?}");
        }
        let many = encode(std::iter::repeat_n(&[][..], EVENTS_MAX + 1));
        assert_eq!(decode(&many), Err(BadBatch::TooMany));
        let large = encode([&vec![0; EVENT_BYTES_MAX + 1][..]]);
        assert_eq!(decode(&large), Err(BadBatch::TooLarge(EVENT_BYTES_MAX + 1)));
    }

    #[test]
    fn a_batch_holds_so_many_and_no_more() {
        assert_eq!(fitting(std::iter::empty()), 0);
        assert_eq!(fitting(std::iter::repeat(10)), EVENTS_MAX);
        let fits = fitting(std::iter::repeat(EVENT_BYTES_MAX));
        assert!(fits >= 1 && fits * EVENT_BYTES_MAX <= BATCH_BYTES_MAX);
        assert!(encode(std::iter::repeat_n(&vec![0; EVENT_BYTES_MAX][..], fits)).len() <= BATCH_BYTES_MAX);
    }
}
