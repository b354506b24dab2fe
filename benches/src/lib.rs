//! What benches share: thread CPU time, percentiles, and how figures are printed.

pub mod measure;
