//! Contract: a flow that is warm allocates nothing for a tick without messages, and a connection's memory has a budget.

use core::time::Duration;

use arbiter_transport::PAYLOAD_BYTES_MAX;
use arbiter_transport::flow::{Body, Flow, FlowConfig};

/// Bytes of a new connection: thousands of them must fit into a cache or two, and tens of thousands into memory.
const FLOW_BYTES_MAX: usize = 18_000;

#[test]
fn a_warm_flow_allocates_nothing() {
    let mut server = None;
    let counted = allocation_counter::measure(|| server = Some(Flow::new(FlowConfig::of_server(), Duration::ZERO)));
    let mut server = server.expect("made");
    let bytes = usize::try_from(counted.bytes_current).expect("it holds something") + size_of::<Flow>();
    println!("{bytes} bytes for a new flow");
    assert!(bytes <= FLOW_BYTES_MAX, "{bytes} bytes for a new flow");
    let mut client = Flow::new(FlowConfig::of_client(), Duration::ZERO);
    let mut out = [0; PAYLOAD_BYTES_MAX];
    let mut told = 0_u32;
    let mut tick = |tick: u32| {
        let now = Duration::from_micros(16_667) * tick;
        for down in [true, false] {
            let (from, to) = if down { (&mut server, &mut client) } else { (&mut client, &mut server) };
            from.advance(now, &mut |_| told += 1);
            assert!(from.budget(60) > 0);
            let body = Body { kind: 1, tag: tick, bytes: &[7; 90] };
            let len = from.write(now, Some(body), &mut out).expect("written");
            // One in ten is lost.
            if tick % 10 != 3 {
                to.read(now, &out[..len], &mut |_| told += 1).expect("honest");
            }
            assert!(!from.is_due());
        }
    };
    for warm in 0..100 {
        tick(warm);
    }
    let counted = allocation_counter::measure(|| (100..1_100).for_each(&mut tick));
    assert_eq!(counted.count_total, 0, "{counted:?}");
    assert!(told >= 2_000);
}
