//! 901 cubes at 60 Hz for one receiver that acknowledges six frames late: bytes and time of the snapshot codec's two forms.
//!
//! `CUBES_TRACE=path cargo bench --bench cubes`, with a trace in the format of Glenn Fiedler's snapshot compression data (see
//! `src/cubes.rs`). Every frame is written as a real stream of bits, read from nothing but frames that were read before, and
//! compared. Whole bytes of the stream are counted; which frames it builds upon is known without loss, and is counted as a
//! header where packets are lost. Without a trace nothing is measured, and the bench says so.

mod link;

use std::path::Path;

use arbiter_benches::cubes::{AGE, CUBES, LANES, RATE, Trace, plan};
use arbiter_benches::measure::{Samples, figure, machine, thread_cpu};
use arbiter_snapshot::bits::{BitReader, BitWriter};
use arbiter_snapshot::codec::packet::{Held, Scratch, decode_shared, decode_small, encode_shared, encode_small};
use arbiter_snapshot::codec::{Damaged, Tables, Tier};
use link::Link;

/// The cube that the player drives.
const DRIVEN: usize = 0;

struct Run<'a> {
    trace: &'a Trace,
    tier: Tier,
    bytes: usize,
    frames: usize,
    encode: Samples,
    decode: Samples,
}

impl<'a> Run<'a> {
    fn new(trace: &'a Trace, tier: Tier) -> Self {
        let samples = || Samples::with_capacity(trace.frames());
        Self { trace, tier, bytes: 0, frames: 0, encode: samples(), decode: samples() }
    }

    fn kbits(&self) -> f64 {
        self.bytes as f64 * 8.0 * RATE / self.frames.max(1) as f64 / 1e3
    }

    /// Plays the whole trace over `link`.
    fn play(&mut self, mut link: Link) -> Result<(), Damaged> {
        let (plan, tables) = (plan(), Tables::frozen());
        let (mut encoder, mut decoder) = (Scratch::default(), Scratch::default());
        let (mut bits, mut bytes) = (BitWriter::default(), Vec::new());
        // The receiver begins with the frames that nothing can be told against.
        let mut received: Vec<Vec<i32>> = (0..AGE).map(|frame| self.trace.frame(frame).to_vec()).collect();
        for frame in AGE..self.trace.frames() {
            let bases = link.bases(frame);
            let mut pasts = Vec::with_capacity(CUBES);
            bases.pasts(frame, |at| self.trace.frame(at), &mut pasts);
            let start = thread_cpu();
            bytes.clear();
            let held = Held { plan: &plan, pasts: &pasts };
            match self.tier {
                Tier::Shared => {
                    bits.clear();
                    encode_shared(tables, &held, self.trace.frame(frame), &mut encoder, &mut bits);
                    bits.finish_into(&mut bytes);
                }
                Tier::Small | Tier::Near => {
                    encode_small(tables, &held, Some(DRIVEN), self.trace.frame(frame), &mut encoder, &mut bytes);
                }
            }
            self.encode.push(thread_cpu() - start);
            self.bytes += bytes.len() + link.header_bytes();
            self.frames += 1;
            if !link.arrives(frame) {
                received.push(Vec::new());
                continue;
            }
            let mut now = vec![0; CUBES * LANES];
            bases.pasts(frame, |at| &received[at], &mut pasts);
            let start = thread_cpu();
            let held = Held { plan: &plan, pasts: &pasts };
            match self.tier {
                Tier::Shared => decode_shared(tables, &held, BitReader::new(&bytes), &mut decoder, &mut now)?,
                Tier::Small | Tier::Near => decode_small(tables, &held, Some(DRIVEN), &bytes, &mut decoder, &mut now)?,
            }
            self.decode.push(thread_cpu() - start);
            assert!(now == self.trace.frame(frame), "frame {frame} is read as another than it was");
            received.push(now);
        }
        Ok(())
    }
}

fn main() -> Result<(), String> {
    let Some(path) = std::env::var_os("CUBES_TRACE") else {
        println!("CUBES_TRACE names no trace, so that nothing is measured: the format is in benches/src/cubes.rs.");
        return Ok(());
    };
    let trace = Trace::read(Path::new(&path))?;
    println!("{} frames of {CUBES} cubes, baseline {AGE} frames old; {}", trace.frames(), machine());
    let mut measured: Vec<(&str, f64)> = Vec::new();
    for (tier, name) in [(Tier::Shared, "shared"), (Tier::Small, "small")] {
        for (loss, suffix) in [(0, ""), (20, ".loss20")] {
            let mut run = Run::new(&trace, tier);
            run.play(Link::new(loss)).map_err(|error| error.to_string())?;
            figure(&format!("cubes.{name}{suffix}"), run.kbits(), "kbit/s");
            if loss == 0 {
                let (encode, decode) = (run.encode.mean_us(), run.decode.mean_us());
                // The shared form is the one that servers use: its times have the plain names.
                let prefix = if tier == Tier::Shared { "cubes".to_owned() } else { format!("cubes.{name}") };
                figure(&format!("{prefix}.encode"), encode, "us_per_frame");
                figure(&format!("{prefix}.decode"), decode, "us_per_frame");
                measured.push((name, run.kbits()));
            }
            println!("  {name}, {loss} % lost: {} frames sent, {} read and compared", run.frames, run.decode.count());
        }
    }
    for (name, kbits) in measured {
        figure(&format!("cubes.{name}_over_giesen"), kbits / GIESEN_KBITS, "ratio");
    }
    Ok(())
}

/// Giesen's range coder on trace s9, the best known before: the ratio means something on that trace alone.
const GIESEN_KBITS: f64 = 193.9;
