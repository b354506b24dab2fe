//! On which cores a way is measured.

use std::fmt;

use crate::Way;

/// Where the thread that takes turns is, and where others that it has are.
#[derive(Debug, Clone, Copy)]
pub struct Cores {
    /// `None` where the system has no call to choose it.
    own_and_beside: Option<[usize; 2]>,
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.own_and_beside {
            Some([own, beside]) => write!(f, "on core {own}, other threads on core {beside}"),
            None => f.write_str("wherever the system puts it"),
        }
    }
}

impl Cores {
    /// Two cores of those that this process may use, in both orders.
    pub fn to_try() -> Vec<Self> {
        match allowed()[..] {
            [one, other, ..] => [[one, other], [other, one]].map(|cores| Self { own_and_beside: Some(cores) }).to_vec(),
            _ => vec![Self { own_and_beside: None }],
        }
    }

    /// Puts this thread and others of the way where they belong.
    pub fn take(self, way: &mut dyn Way) {
        if let Some([own, beside]) = self.own_and_beside {
            pin(own);
            way.pin_beside(beside);
        }
    }
}

#[cfg(target_os = "linux")]
fn allowed() -> Vec<usize> {
    let cores = rustix::thread::sched_getaffinity(None).expect("the cores of this thread");
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|core| cores.is_set(*core)).take(2).collect()
}

/// Puts this thread on a core.
#[cfg(target_os = "linux")]
pub fn pin(core: usize) {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(core);
    rustix::thread::sched_setaffinity(None, &cores).expect("a core that is allowed");
}

#[cfg(not(target_os = "linux"))]
fn allowed() -> Vec<usize> {
    Vec::new()
}

/// There is no call for it.
#[cfg(not(target_os = "linux"))]
pub fn pin(_core: usize) {}
