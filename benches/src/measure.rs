//! Thread CPU time, percentiles, and the lines that scripts read.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time that this thread has used so far.
pub fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Many durations of one kind of work.
#[derive(Debug, Default)]
pub struct Samples {
    ns: Vec<u64>,
}

impl Samples {
    /// Room for `count` samples, so that noting one allocates nothing.
    pub fn with_capacity(count: usize) -> Self {
        Self { ns: Vec::with_capacity(count) }
    }

    /// Notes one.
    pub fn push(&mut self, time: Duration) {
        self.ns.push(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ns.len()
    }

    /// Mean in microseconds; 0 without samples.
    pub fn mean_us(&self) -> f64 {
        self.ns.iter().sum::<u64>() as f64 / 1e3 / self.ns.len().max(1) as f64
    }

    /// Microseconds below which `share` of the samples lie (nearest rank); 0 without samples.
    pub fn percentile_us(&mut self, share: f64) -> f64 {
        self.ns.sort_unstable();
        let rank = (share * self.ns.len() as f64).ceil().max(1.0) as usize;
        self.ns.get(rank - 1).map_or(0.0, |ns| *ns as f64 / 1e3)
    }
}

/// Prints a figure.
pub fn figure(name: &str, value: f64, unit: &str) {
    println!("figure {name} {value:.3} {unit}");
}

/// What was measured on: processor, cores, compiler's target.
pub fn machine() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |it| it.1);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{model}, {cores} cores, {}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

/// What this process holds in memory, in MB; 0 where the system does not say.
pub fn rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_take_the_nearest_rank() {
        let mut samples = Samples::default();
        (1..=1000).rev().for_each(|us| samples.push(Duration::from_micros(us)));
        let found = [0.5, 0.99, 0.999].map(|share| samples.percentile_us(share));
        assert_eq!(found, [500.0, 990.0, 999.0]);
    }

    #[test]
    fn work_takes_cpu_time() {
        let before = thread_cpu();
        let mut x = 1u64;
        while thread_cpu() == before {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(thread_cpu() > before);
    }
}
