//! Two flows, a bad link in each direction, and a clock that is a number.
#![allow(dead_code, reason = "each test file uses its part")]

use core::time::Duration;

use arbiter_transport::PAYLOAD_BYTES_MAX;
use arbiter_transport::conditioner::{Conditioner, Profile};
use arbiter_transport::flow::{Body, Flow, FlowConfig, FlowEvent, Incoming};

pub const TICK: Duration = Duration::from_micros(16_667);

/// What one end has heard.
#[derive(Debug, Default)]
pub struct Heard {
    pub delivered: Vec<u32>,
    pub lost: Vec<u32>,
    pub messages: Vec<Vec<u8>>,
    pub bodies: Vec<(u64, Vec<u8>)>,
    pub farewell: Option<String>,
    pub payloads: u32,
}

impl Heard {
    fn note(&mut self, event: FlowEvent<'_>) {
        match event {
            FlowEvent::Delivered(tag) => self.delivered.push(tag),
            FlowEvent::Lost(tag) => self.lost.push(tag),
            FlowEvent::Message(message) => self.messages.push(message.to_vec()),
        }
    }
}

/// One end.
pub struct End {
    pub flow: Flow,
    pub heard: Heard,
    /// What leaves this end.
    pub link: Conditioner,
    /// The end's clock is so much ahead.
    offset: Duration,
    pub written: u32,
}

impl End {
    fn new(config: FlowConfig, profile: Profile, seed: u64, offset: Duration) -> Self {
        let link = Conditioner::new(profile, seed);
        Self { flow: Flow::new(config, offset), heard: Heard::default(), link, offset, written: 0 }
    }

    pub fn write(&mut self, now: Duration, body: Option<Body<'_>>) -> usize {
        let mut out = [0; PAYLOAD_BYTES_MAX];
        let len = self.flow.write(now + self.offset, body, &mut out).expect("written");
        self.link.push(now, (), &out[..len]);
        self.written += 1;
        len
    }

    fn advance(&mut self, now: Duration) {
        let Self { flow, heard, offset, .. } = self;
        flow.advance(now + *offset, &mut |event| heard.note(event));
    }

    /// Writes payloads without a body as long as the flow asks for them.
    pub fn write_due(&mut self, now: Duration) {
        while self.flow.is_due() {
            self.write(now, None);
        }
    }

    fn take(&mut self, now: Duration, payload: &[u8]) {
        let Self { flow, heard, offset, .. } = self;
        heard.payloads += 1;
        match flow.read(now + *offset, payload, &mut |event| heard.note(event)) {
            Ok(Incoming::Body { sequence, bytes, .. }) => heard.bodies.push((sequence, bytes.to_vec())),
            Ok(Incoming::Farewell(why)) => heard.farewell = Some(why.to_owned()),
            Ok(_) => {}
            // A spoiled payload: encryption would have dropped it.
            Err(violation) => panic!("an honest peer broke the rules: {violation}"),
        }
    }
}

/// Two ends. A spoiled payload never reaches a flow, as encryption sees to it.
pub struct Pair {
    pub server: End,
    pub client: End,
    pub now: Duration,
}

impl Pair {
    pub fn new(profile: Profile, seed: u64) -> Self {
        let profile = Profile { corrupt: 0.0, ..profile };
        Self {
            server: End::new(FlowConfig::of_server(), profile, seed, Duration::from_secs(1_700_000_000)),
            client: End::new(FlowConfig::of_client(), profile, seed ^ 0xFF, Duration::from_micros(77)),
            now: Duration::ZERO,
        }
    }

    /// What is due arrives at the microsecond when it is due, then a tick passes at both ends.
    pub fn tick(&mut self) {
        let until = self.now + TICK;
        loop {
            let next = [self.server.link.next_due(), self.client.link.next_due()].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= until) else { break };
            let Self { server, client, .. } = self;
            server.link.pop(at, &mut |(), payload| client.take(at, payload));
            client.link.pop(at, &mut |(), payload| server.take(at, payload));
        }
        self.now = until;
        self.server.advance(until);
        self.client.advance(until);
    }

    /// A tick in which both ends have something to say.
    pub fn play(&mut self, tick: u32, up: usize, down: usize) {
        self.tick();
        self.client.write(self.now, Some(Body { kind: 1, tag: tick, bytes: &vec![tick as u8; up] }));
        self.server.write(self.now, Some(Body { kind: 2, tag: tick, bytes: &vec![tick as u8; down] }));
    }
}
