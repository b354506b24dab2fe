//! Weighted least squares, one small system for each key of a fit.

use std::fmt::Write;

use arbiter_snapshot::codec::Fit;

/// Products of inputs and outcomes, by key.
pub struct Sums {
    inputs: usize,
    /// For each key the matrix, row by row, then the right side.
    sums: Vec<Vec<f64>>,
}

impl Sums {
    pub fn new(keys: usize, inputs: usize) -> Self {
        Self { inputs, sums: vec![vec![0.0; inputs * (inputs + 1)]; keys] }
    }

    pub fn add(&mut self, fit: Fit, key: usize, inputs: &[i64], actual: i64) {
        // How far off a plain guess is, in lane steps. What is far off was hit by something: it teaches little.
        let (expected, step) = match fit {
            Fit::Axis => (inputs[1], 1.0),
            Fit::Turn => (inputs[1], 22.0),
            Fit::Rolled => (0, 22.0),
            Fit::Contact => (0, 1.0),
        };
        let off = (actual - expected) as f64 / step;
        let weight = 1.0 / (1.0 + 0.02 * off * off).sqrt();
        let (sums, count) = (&mut self.sums[key], self.inputs);
        for row in 0..count {
            for column in 0..count {
                sums[row * count + column] += weight * inputs[row] as f64 * inputs[column] as f64;
            }
            sums[count * count + row] += weight * inputs[row] as f64 * actual as f64;
        }
    }

    /// The coefficients as lines of a file, in 1/2^shift.
    pub fn solve(&self, fit: Fit, shift: u32) -> String {
        let mut text = String::new();
        for sums in &self.sums {
            let solved = eliminate(sums, self.inputs);
            let usual = match fit {
                Fit::Axis | Fit::Turn => 1.0,
                Fit::Rolled | Fit::Contact => 0.0,
            };
            for (at, found) in solved.iter().enumerate() {
                // A key that never came goes on at its mean pace.
                let value = found.unwrap_or(if at == 1 { usual } else { 0.0 });
                let scaled = (value * f64::from(1 << shift)).round().clamp(-2e6, 2e6) as i32;
                write!(text, "{}{scaled}", if at > 0 { " " } else { "" }).expect("text grows");
            }
            text.push('\n');
        }
        text
    }
}

fn eliminate(sums: &[f64], count: usize) -> Vec<Option<f64>> {
    let mut rows: Vec<Vec<f64>> = (0..count)
        .map(|row| {
            let mut values = sums[row * count..][..count].to_vec();
            // A little ridge: inputs that hardly came get no weight.
            values[row] = values[row] * (1.0 + 1e-6) + 1e-3;
            values.push(sums[count * count + row]);
            values
        })
        .collect();
    if sums[..count * count].iter().all(|sum| *sum == 0.0) {
        return vec![None; count];
    }
    for at in 0..count {
        let best = (at..count).max_by(|a, b| rows[*a][at].abs().total_cmp(&rows[*b][at].abs())).unwrap_or(at);
        rows.swap(at, best);
        let scale = rows[at][at];
        rows[at].iter_mut().for_each(|value| *value /= scale);
        let pivot = rows[at].clone();
        for (_, values) in rows.iter_mut().enumerate().filter(|(row, _)| *row != at) {
            let factor = values[at];
            values.iter_mut().zip(&pivot).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    rows.iter().map(|values| Some(values[count])).collect()
}
