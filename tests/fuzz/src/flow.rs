//! A connection above encryption, against a peer that may seal any payload, several in a row, at any time.

use core::time::Duration;
use std::collections::HashMap;

use arbiter_transport::PAYLOAD_BYTES_MAX;
use arbiter_transport::flow::{BODY_BYTES_MAX, Body, Flow, FlowConfig, FlowEvent, Incoming};
use arbiter_transport::messages::WHOLE_BYTES_MAX;

use crate::{Example, Script, Target, Writer, datagram};

/// Checks what a flow tells.
#[derive(Debug, Default)]
struct Told {
    /// Bodies that were sent, and how often they were delivered and lost.
    sent: HashMap<u32, (u32, u32)>,
}

impl Told {
    fn hear(&mut self, event: FlowEvent<'_>) {
        match event {
            FlowEvent::Message(message) => assert!((1..=WHOLE_BYTES_MAX).contains(&message.len())),
            FlowEvent::Delivered(tag) => {
                let (delivered, _) = self.sent.get_mut(&tag).expect("what was never sent is never delivered");
                *delivered += 1;
                assert_eq!(*delivered, 1, "delivered once");
            }
            FlowEvent::Lost(tag) => {
                let (delivered, lost) = self.sent.get_mut(&tag).expect("what was never sent is never lost");
                *lost += 1;
                assert!((*delivered, *lost) == (0, 1), "lost once, and never after it was delivered");
            }
        }
    }
}

/// The flow.
pub const FLOW: Target = Target {
    name: "flow",
    what: "a connection above encryption: payloads of any bytes, in a row, between its own",
    bytes_max: 16_384,
    allocated_max: 24 << 20,
    run: |bytes| {
        let mut now = Duration::from_secs(1_700_000_000);
        let mut flow = Flow::new(FlowConfig::of_server(), now);
        let (mut told, mut script, mut tag) = (Told::default(), Script(bytes), 0);
        let mut out = [0; PAYLOAD_BYTES_MAX];
        for _ in 0..1_024 {
            let Some(what) = script.step() else { break };
            match what % 8 {
                0..=3 => {
                    let payload = script.bytes(PAYLOAD_BYTES_MAX + 1);
                    match flow.read(now, payload, &mut |event| told.hear(event)) {
                        // The connection has ended.
                        Err(_) => return,
                        Ok(Incoming::Body { kind, bytes, .. }) => {
                            assert!((1..=6).contains(&kind) && !bytes.is_empty() && bytes.len() < payload.len());
                        }
                        Ok(Incoming::Farewell(text)) => assert!(text.len() <= 200),
                        Ok(Incoming::Empty | Incoming::Refused(_) | Incoming::Dropped) => {}
                    }
                }
                4 => {
                    let _ = flow.send_message(&vec![what; usize::from(script.u16())]);
                }
                5 | 6 => {
                    let length = usize::from(script.u16()) % (BODY_BYTES_MAX + 2);
                    let bytes = vec![what; length];
                    let body = (what & 8 == 0).then_some(Body { kind: what >> 4, tag, bytes: &bytes });
                    if flow.write(now, body, &mut out).is_ok() && body.is_some() {
                        told.sent.insert(tag, (0, 0));
                    }
                    tag += 1;
                }
                _ => {
                    now += script.pause();
                    flow.advance(now, &mut |event| told.hear(event));
                    let _ = (flow.is_due(), flow.budget(60), flow.path(), flow.is_flushed());
                    assert!(flow.rate() > 0);
                }
            }
        }
    },
    examples: flow_examples,
};

fn flow_examples() -> Vec<Example> {
    let mut out = [0; PAYLOAD_BYTES_MAX];
    let now = Duration::from_secs(5);
    let mut examples = Vec::new();
    // What an honest peer sends: three inputs, a message, an acknowledgement.
    let mut peer = Flow::new(FlowConfig::of_client(), now);
    let mut script = Writer::default();
    for tag in 0..3 {
        let count = peer.write(now, Some(Body { kind: 1, tag, bytes: &[4; 24] }), &mut out).expect("it fits");
        script = script.u8(7).u8(14 << 3).u8(0).bytes(&out[..count]);
    }
    examples.push(("inputs".to_owned(), script.0));
    peer.send_message(&[1; 40]).expect("there is room");
    peer.send_message(&[2; 2_000]).expect("there is room");
    peer.advance(now, &mut |_| {});
    let mut script = Writer::default();
    while peer.is_due() {
        let count = peer.write(now, None, &mut out).expect("it fits");
        script = script.u8(0).bytes(&out[..count]);
    }
    examples.push(("messages".to_owned(), script.0));
    let count = peer.write_farewell(now, "goodbye", &mut out).expect("it fits");
    examples.push(("farewell".to_owned(), Writer::default().u8(0).bytes(&out[..count]).0));
    // Acknowledgements of what the script sends itself.
    for (name, mut header) in datagram::headers() {
        if let Some(ack) = &mut header.ack {
            ack.newest = 1;
        }
        header.sequence = 0;
        let count = header.write(&mut out);
        let body = usize::from(header.body_len.unwrap_or(12));
        out[count..count + body].fill(b'a');
        let messages: &[u8] = if header.body_len.is_some() { &[0, 2, 0, 7] } else { &[] };
        out[count + body..count + body + messages.len()].copy_from_slice(messages);
        let sends = Writer::default().u8(0x15).u16(300).u8(0x15).u16(20).u8(7).u8(15 << 3);
        examples
            .push((format!("ack-{name}"), sends.u8(0).bytes(&out[..count + body + messages.len()]).u8(7).u8(200).0));
    }
    examples
}
