//! W3C's trace context, version 00: which calls, lines and events belong together. No randomness: luck is passed in.

use core::fmt;

/// Name of the header of HTTP, and of the attribute of an event.
pub const HEADER: &str = "traceparent";

/// The flag of a trace whose beginner keeps what it tells of it.
pub const SAMPLED: u8 = 1;

/// A trace and one part in it; shown as it is sent on, `00-TRACE-SPAN-FLAGS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// 32 digits.
    pub trace: String,
    /// Not 0.
    pub span: u64,
    /// See [`SAMPLED`].
    pub flags: u8,
}

impl TraceContext {
    /// A trace that begins here. They are only names: numbers that are not random are no reason not to call.
    pub fn begin(flags: u8, mut random: impl FnMut() -> u64) -> Self {
        let mut part = || random().max(1);
        let mut trace = String::with_capacity(32);
        for _ in 0..2 {
            trace.extend(digits(part()).map(char::from));
        }
        Self { trace, span: part(), flags }
    }

    /// What somebody sent; `None` if it is none of version 00.
    pub fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        let ["00", trace, span, flags] = parts[..] else { return None };
        let digits = |part: &str, count| {
            part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let fits = digits(trace, 32) && digits(span, 16) && digits(flags, 2) && !zero(trace) && !zero(span);
        let number = |part| u64::from_str_radix(part, 16).ok();
        fits.then(|| Some(Self { trace: trace.to_owned(), span: number(span)?, flags: number(flags)? as u8 })).flatten()
    }

    /// Another part of the same trace.
    #[must_use]
    pub fn go_on(self, random: u64) -> Self {
        Self { span: random.max(1), ..self }
    }
}

/// The 16 digits of a number, as they stand in names of traces and spans.
pub fn digits(number: u64) -> [u8; 16] {
    core::array::from_fn(|at| b"0123456789abcdef"[(number >> (60 - 4 * at)) as usize % 16])
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_here_is_read_as_it_was_written() {
        for luck in [0, 7, u64::MAX] {
            let begun = TraceContext::begin(SAMPLED, || luck);
            assert_eq!(TraceContext::parse(&begun.to_string()), Some(begun));
        }
    }

    #[test]
    fn the_digits_of_a_number_are_those_that_it_is_shown_with() {
        for number in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            assert_eq!(core::str::from_utf8(&digits(number)), Ok(&*format!("{number:016x}")));
        }
    }

    #[test]
    fn what_goes_on_stays_in_its_trace() {
        let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let went_on = TraceContext::parse(given).expect("one of the standard's").go_on(9);
        assert_eq!(went_on.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000009-01");
    }

    #[test]
    fn what_is_none_of_version_00_is_not_read() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let wrong = [
            String::new(),
            "00".to_owned(),
            "00-0-0-0".to_owned(),
            format!("01-{trace}-00f067aa0ba902b7-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{trace}-00F067AA0BA902B7-01"),
            format!("00-{trace}-00f067aa0ba902b7-01-"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
        ];
        for wrong in wrong {
            assert_eq!(TraceContext::parse(&wrong), None, "{wrong}");
        }
    }
}
