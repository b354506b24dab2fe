//! What benches share: thread CPU time, percentiles, how figures are printed; traces of cubes, and the training of the
//! snapshot codec on them.

pub mod cubes;
pub mod measure;
pub mod train;
