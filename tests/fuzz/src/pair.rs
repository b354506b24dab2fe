//! Two honest connections and a network that loses, doubles and reorders as a script says. No payload is changed, so nothing
//! may ever be a violation, and messages come each once and in order: what the guard takes from honest players would be a
//! hole of its own.

use core::time::Duration;

use arbiter_transport::PAYLOAD_BYTES_MAX;
use arbiter_transport::flow::{Body, Flow, FlowConfig, FlowEvent};

use crate::{Script, Target, Writer};

/// Payloads on their way at a time: more are lost.
const ON_THE_WAY_MAX: usize = 64;

struct End {
    flow: Flow,
    /// Number of the next message to send, and of the next one to come.
    next: u32,
    expected: u32,
    tag: u32,
    /// What it has sent.
    wire: Vec<Vec<u8>>,
}

impl End {
    fn new(config: FlowConfig, now: Duration) -> Self {
        Self { flow: Flow::new(config, now), next: 0, expected: 0, tag: 0, wire: Vec::new() }
    }

    fn send(&mut self, now: Duration, body: Option<usize>) {
        let mut out = [0; PAYLOAD_BYTES_MAX];
        let bytes = vec![7; body.unwrap_or(0)];
        let body = body.map(|_| Body { kind: 1, tag: self.tag, bytes: &bytes });
        self.tag += 1;
        let Ok(count) = self.flow.write(now, body, &mut out) else { return };
        if self.wire.len() < ON_THE_WAY_MAX {
            self.wire.push(out[..count].to_vec());
        }
    }

    fn say(&mut self, length: usize) {
        let mut message = vec![9; length.max(4)];
        message[..4].copy_from_slice(&self.next.to_le_bytes());
        if self.flow.send_message(&message).is_ok() {
            self.next += 1;
        }
    }

    fn hear(&mut self, now: Duration, payload: &[u8]) {
        let expected = &mut self.expected;
        let tell = &mut |event: FlowEvent<'_>| {
            if let FlowEvent::Message(message) = event {
                assert_eq!(message[..4], expected.to_le_bytes(), "messages come each once and in order");
                *expected += 1;
            }
        };
        let read = self.flow.read(now, payload, tell);
        assert!(read.is_ok(), "an honest payload is no violation: {read:?}");
    }

    fn advance(&mut self, now: Duration) {
        self.flow.advance(now, &mut |_| {});
        // As a socket's loop does, bounded.
        for _ in 0..8 {
            if !self.flow.is_due() {
                return;
            }
            self.send(now, None);
        }
    }
}

/// The pair.
pub const PAIR: Target = Target {
    name: "pair",
    what: "two honest connections over a network that loses, doubles and reorders: nothing may be a violation",
    bytes_max: 4_096,
    allocated_max: 64 << 20,
    run: |bytes| {
        let mut now = Duration::from_secs(1_700_000_000);
        let mut ends = [End::new(FlowConfig::of_server(), now), End::new(FlowConfig::of_client(), now)];
        let mut script = Script(bytes);
        for _ in 0..2_048 {
            let Some(what) = script.step() else { break };
            let side = usize::from(what >> 7);
            let (detail, [first, second]) = (usize::from(what >> 3 & 15), &mut ends);
            let (here, there) = if side == 0 { (first, second) } else { (second, first) };
            match what & 7 {
                0 | 1 => here.send(now, Some(1 + detail * 76)),
                2 => here.say(detail * detail * 40),
                // A payload arrives: the oldest or another one, and perhaps again later.
                3 | 4 if !here.wire.is_empty() => {
                    let at = detail / 2 % here.wire.len();
                    let payload = if detail % 2 == 0 { here.wire.remove(at) } else { here.wire[at].clone() };
                    there.hear(now, &payload);
                }
                5 if !here.wire.is_empty() => {
                    let at = detail % here.wire.len();
                    here.wire.remove(at);
                }
                6 => {
                    now += Duration::from_millis(detail as u64 * 4);
                    here.advance(now);
                    there.advance(now);
                }
                7 => {
                    now += script.pause() / 64;
                    here.advance(now);
                    there.advance(now);
                }
                _ => {}
            }
        }
    },
    examples: || {
        let tick = |script: Writer| script.u8(0x18).u8(0xA0).u8(0x03).u8(0x83).u8(0x26);
        let plain = (0..40).fold(Writer::default(), |script, _| tick(script));
        let talk = (0..40).fold(Writer::default(), |script, _| tick(script.u8(0x2A).u8(0xFA)));
        let lossy = (0..40).fold(Writer::default(), |script, at: u8| {
            let script = tick(script.u8(0x2A));
            if at.is_multiple_of(3) { script.u8(0x05).u8(0x85) } else { script.u8(0x0B).u8(0x1B) }
        });
        let pause = tick(tick(Writer::default()).u8(7).u8(250).u8(7).u8(250));
        let names = ["plain", "talk", "lossy", "pause"];
        names.into_iter().map(String::from).zip([plain.0, talk.0, lossy.0, pause.0]).collect()
    },
};
