//! Contract: a flow that is warm allocates nothing for a tick without messages, and a connection's memory has a budget.

use core::time::Duration;
use std::alloc::System;

use arbiter_transport::PAYLOAD_BYTES_MAX;
use arbiter_transport::flow::{Body, Flow, FlowConfig};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes of a new connection: thousands of them must fit into a cache or two, and tens of thousands into memory.
const FLOW_BYTES_MAX: usize = 18_000;

// One test only: the allocator counts for the whole process.
#[test]
fn a_warm_flow_allocates_nothing() {
    let region = Region::new(ALLOCATOR);
    let mut server = Flow::new(FlowConfig::of_server(), Duration::ZERO);
    let change = region.change();
    let bytes = change.bytes_allocated - change.bytes_deallocated + size_of::<Flow>();
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
    let region = Region::new(ALLOCATOR);
    for steady in 100..1_100 {
        tick(steady);
    }
    let change = region.change();
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
    assert!(told >= 2_000);
}
