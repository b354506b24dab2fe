//! One entity: which symbols tell it, in which order, and what both ends know when each is coded.

use super::numbers::{SYMBOLS, Turn, difference, scale};
use super::plan::{Group, Kind, Plan};
use super::predict::{Past, Turning, axis_inputs, lane_of, turn_of};
use super::tables::{Fit, Model, Tables};
use super::{Coder, Damaged};

/// What is known of the surroundings of an entity in the small tier; zeros in the shared form.
#[derive(Debug, Clone, Copy, Default)]
pub struct Around {
    /// Distances in lane steps to the nearest two that were told in this packet, and to the driver.
    pub distances: [i32; 3],
    /// By how much each of the three missed its guess.
    pub missed: [[i64; 3]; 3],
    /// By how much the nearest missed its guess in all, in place and in rotation.
    pub amount: [i32; 2],
    /// The same of the driver, in place.
    pub driver_amount: i32,
    /// How much nearer the driver came since the newest state.
    pub driver_way: i32,
    /// How many that were told are near.
    pub crowd: i32,
}

/// What telling an entity taught of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told {
    /// By how much its place missed its guess.
    pub missed: [i64; 3],
    /// The same of its rotation, in all.
    pub turned: i32,
}

fn clip(value: i64) -> i32 {
    value.clamp(-1 << 20, 1 << 20) as i32
}

fn sum(values: [i64; 3]) -> i64 {
    values.iter().map(|value| value.abs()).sum()
}

/// What of an entity's past every symbol may look at.
struct Motion {
    step: i32,
    far: [i64; 3],
    turning: Option<Turning>,
}

impl Motion {
    fn new(plan: &Plan, past: &Past<'_>) -> Self {
        let lanes = |at: usize| [at, at + 1, at + 2];
        let (mut step, mut far) = (0, [0; 3]);
        if let Some(place) = plan.place {
            step = clip(sum(lanes(place).map(|lane| past.step(lane))));
            far = lanes(place).map(|lane| past.far(lane));
        }
        let turn = plan.groups.iter().find(|group| group.kind == Kind::Turn);
        Self { step, far, turning: turn.map(|group| Turning::new(past, group)) }
    }

    fn turn_step(&self) -> i32 {
        self.turning.map_or(0, |turning| clip(turning.step))
    }

    fn turn_reach(&self) -> i32 {
        self.turning.map_or(0, |turning| clip(turning.reach))
    }
}

/// Whether any group was in motion at the states that are held.
pub fn active(plan: &Plan, past: &Past<'_>) -> bool {
    plan.groups.iter().any(|group| past.moves(group.lanes()))
}

/// Whether an entity in motion has to be told group by group: something else moves than did, or it stopped altogether, or
/// another component of its rotation is the largest than the one that was guessed.
pub fn odd(tables: &Tables, plan: &Plan, past: &Past<'_>, around: &Around, now: &[i32]) -> bool {
    if now == past.states[0] {
        return true;
    }
    // As the walk does it: where the place missed its guess is known before anything else is guessed.
    let mut missed = [0; 3];
    if let Some(group) = plan.place_group().map(|at| &plan.groups[at]).filter(|group| past.moves(group.lanes())) {
        for (axis, missed) in missed.iter_mut().enumerate() {
            let alone = axis_guess(tables, past, group, axis, around).1;
            *missed = i64::from(now[group.at + axis]) - alone;
        }
    }
    let mut motion = None;
    plan.groups.iter().any(|group| {
        if !past.moves(group.lanes()) {
            return now[group.lanes()] != past.states[0][group.lanes()];
        }
        if group.kind != Kind::Turn {
            return false;
        }
        let motion = motion.get_or_insert_with(|| Motion::new(plan, past));
        let (guess, ..) = turn_guess(tables, motion, past, group, missed);
        order(&guess)[0] != (now[group.at] as usize).min(3)
    })
}

/// Guess of an axis; the guess without neighbours; how far it goes.
fn axis_guess(tables: &Tables, past: &Past<'_>, group: &Group, axis: usize, around: &Around) -> (i64, i64, i64) {
    let lane = group.at + axis;
    let (key, inputs) = axis_inputs(past, lane, axis == 1);
    let goes = tables.fit(Fit::Axis, key, &inputs);
    let alone = (past.newest(lane) + goes).clamp(0, group.max);
    let (key, inputs) = contact_inputs(around, axis);
    let pushed = if around.crowd > 0 { tables.fit(Fit::Contact, key, &inputs) } else { 0 };
    ((alone + pushed).clamp(0, group.max), alone, goes)
}

/// What is pushed moves with what pushes it: by the distance to the nearest and how many there are.
fn contact_inputs(around: &Around, axis: usize) -> (usize, [i64; 3]) {
    let near = (scale(i64::from(around.distances[0])) - 8).clamp(0, 15) as usize;
    let driver = (scale(i64::from(around.distances[2])) - 12).clamp(0, 15) as usize / 4;
    let key = (driver * 16 + near) * 4 + (around.crowd / 2).min(3) as usize;
    (key, [around.missed[0][axis], around.missed[1][axis], around.missed[2][axis]])
}

fn turn_guess(
    tables: &Tables,
    motion: &Motion,
    past: &Past<'_>,
    group: &Group,
    missed: [i64; 3],
) -> (Turn, usize, [[i64; 4]; 4], Turn) {
    let turning = motion.turning.unwrap_or_else(|| Turning::new(past, group));
    let (alone, way) = turning.guess(tables);
    let (key, inputs) = turning.rolled(&way, motion.far, missed);
    let mut guess = alone;
    for (part, inputs) in guess.iter_mut().zip(&inputs) {
        *part += tables.fit(Fit::Rolled, key, inputs);
    }
    (super::numbers::normal(guess), key, inputs, alone)
}

/// The components by size, largest first.
fn order(turn: &Turn) -> [usize; 4] {
    let mut order = [0, 1, 2, 3];
    order.sort_by_key(|at| core::cmp::Reverse(turn[*at].abs()));
    order
}

/// Tells or reads an entity: a writer finds its lanes in `now`, a reader puts them there. `odd` as both ends know it by now.
pub fn entity<C: Coder>(
    coder: &mut C,
    tables: &Tables,
    plan: &Plan,
    past: &Past<'_>,
    around: &Around,
    odd: bool,
    now: &mut [i32],
) -> Result<Told, Damaged> {
    let told = Told::default();
    let in_motion = active(plan, past);
    if odd && coder.symbol(Model::Mask, &[i32::from(in_motion)], u32::from(now != past.states[0]))? == 0 {
        now.copy_from_slice(past.states[0]);
        return Ok(told);
    }
    let mut walk = Walk { motion: Motion::new(plan, past), in_motion, resting: 0, left: 0, told };
    // Where it is comes first: what else changes hangs together with how far it missed its guess.
    let first = plan.place_group().filter(|at| past.moves(plan.groups[*at].lanes()));
    if let Some(at) = first {
        walk.group(coder, tables, plan, past, around, odd, at, now)?;
    }
    if odd {
        walk.resting = plan.groups.iter().filter(|group| !past.moves(group.lanes())).count();
        walk.left = walk.skip(coder, plan, past, now, 0)?;
    }
    for number in (0..plan.groups.len()).filter(|number| first != Some(*number)) {
        let group = &plan.groups[number];
        if past.moves(group.lanes()) {
            walk.group(coder, tables, plan, past, around, odd, number, now)?;
            continue;
        }
        if !odd || walk.left > 0 {
            walk.left = walk.left.saturating_sub(1);
            walk.resting = walk.resting.saturating_sub(1);
            now[group.lanes()].copy_from_slice(&past.states[0][group.lanes()]);
            continue;
        }
        walk.resting = walk.resting.saturating_sub(1);
        walk.group(coder, tables, plan, past, around, odd, number, now)?;
        walk.left = walk.skip(coder, plan, past, now, number + 1)?;
    }
    Ok(walk.told)
}

/// What a walk over an entity carries along.
struct Walk {
    motion: Motion,
    in_motion: bool,
    /// Groups at rest that are still to come.
    resting: usize,
    /// How many of them stay as they were before the next that does not.
    left: usize,
    told: Told,
}

impl Walk {
    /// How many groups at rest, from one on, stay as they were before one that does not, or all that are left.
    fn skip<C: Coder>(
        &self,
        coder: &mut C,
        plan: &Plan,
        past: &Past<'_>,
        now: &[i32],
        from: usize,
    ) -> Result<usize, Damaged> {
        let mut resting = plan.groups[from..].iter().filter(|group| !past.moves(group.lanes()));
        let stays = |group: &&Group| now[group.lanes()] == past.states[0][group.lanes()];
        let actual = resting.by_ref().take_while(stays).count();
        let missed = scale(sum(self.told.missed));
        let features = [
            from as i32,
            self.resting as i32,
            i32::from(self.in_motion),
            missed,
            self.motion.step,
            plan.groups.len() as i32,
        ];
        let mut skipped = 0;
        loop {
            // The last symbol stands for so many and more.
            let most = SYMBOLS as usize - 1;
            let symbol =
                coder.symbol(Model::Skip, &features, (actual - skipped.min(actual)).min(most) as u32)? as usize;
            skipped += symbol;
            if symbol < most || skipped >= self.resting {
                return Ok(skipped);
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "what a walk over an entity needs")]
    fn group<C: Coder>(
        &mut self,
        coder: &mut C,
        tables: &Tables,
        plan: &Plan,
        past: &Past<'_>,
        around: &Around,
        odd: bool,
        number: usize,
        now: &mut [i32],
    ) -> Result<(), Damaged> {
        let group = &plan.groups[number];
        match group.kind {
            Kind::Axes => axes(coder, tables, plan, past, group, &self.motion, around, now, &mut self.told),
            Kind::Turn => turn(coder, tables, past, group, &self.motion, around, odd, now, &mut self.told),
            Kind::Linear | Kind::Hold => lane(coder, plan, past, number, &self.told, now),
        }
    }
}

fn lane<C: Coder>(
    coder: &mut C,
    plan: &Plan,
    past: &Past<'_>,
    number: usize,
    told: &Told,
    now: &mut [i32],
) -> Result<(), Damaged> {
    let group = &plan.groups[number];
    let (lane, far) = (group.at, past.far(group.at));
    let goes = if group.kind == Kind::Linear { far } else { 0 };
    let guess = (past.newest(lane) + goes).clamp(0, group.max);
    // A vector behind the place, its velocity above all, changes where the place missed its guess.
    let axis = plan.place.and_then(|place| lane.checked_sub(place + 3)).map_or(0, |behind| behind % 3);
    let features = [
        group.kind as i32,
        scale(far),
        scale(past.near(lane) - far),
        scale(past.newest(lane)),
        scale(group.max),
        number as i32,
        plan.groups.len() as i32,
        clip(told.missed[axis]),
        scale(sum(told.missed)),
        clip(past.near(lane)),
        clip(far),
    ];
    let read = difference(coder, Model::Lane, &features, i64::from(now[lane]) - guess)?;
    put(now, lane, guess + read, group.max)
}

fn put(now: &mut [i32], lane: usize, value: i64, max: i64) -> Result<(), Damaged> {
    if !(0..=max).contains(&value) {
        return Err(Damaged);
    }
    now[lane] = value as i32;
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "what a walk over an entity carries along")]
fn axes<C: Coder>(
    coder: &mut C,
    tables: &Tables,
    plan: &Plan,
    past: &Past<'_>,
    group: &Group,
    motion: &Motion,
    around: &Around,
    now: &mut [i32],
    told: &mut Told,
) -> Result<(), Damaged> {
    let far = [0, 1, 2].map(|axis| past.far(group.at + axis));
    let mut before = [0; 2];
    // Up first: what falls or lands tells most of what the others do.
    for axis in [1, 0, 2] {
        let lane = group.at + axis;
        let (guess, alone, goes) = axis_guess(tables, past, group, axis, around);
        let (near, step) = (past.near(lane), past.step(lane));
        let features = [
            i32::from(axis == 1),
            clip(step.abs()),
            clip(far[axis].abs()),
            clip((near - far[axis]).abs()),
            motion.step,
            clip(sum(far) - far[axis].abs()),
            motion.turn_reach(),
            motion.turn_step(),
            clip(goes - far[axis]),
            clip(goes),
            clip(far[axis]),
            before[0],
            before[1],
            clip(past.newest(lane)),
            around.distances[0],
            clip(around.missed[0][axis]),
            around.amount[0],
            around.amount[1],
            around.distances[2],
            clip(around.missed[2][axis]),
            around.driver_amount,
            clip(around.missed[1][axis]),
            around.crowd,
        ];
        let read = difference(coder, Model::Axis, &features, i64::from(now[lane]) - guess)?;
        put(now, lane, guess + read, group.max)?;
        let missed = i64::from(now[lane]) - alone;
        let (key, inputs) = axis_inputs(past, lane, axis == 1);
        coder.observe(Fit::Axis, key, &inputs, i64::from(now[lane]) - past.newest(lane));
        if around.crowd > 0 {
            let (key, inputs) = contact_inputs(around, axis);
            coder.observe(Fit::Contact, key, &inputs, missed);
        }
        before = [scale(read), before[0]];
        if plan.place == Some(group.at) {
            told.missed[axis] = missed;
        }
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "what a walk over an entity carries along")]
fn turn<C: Coder>(
    coder: &mut C,
    tables: &Tables,
    past: &Past<'_>,
    group: &Group,
    motion: &Motion,
    around: &Around,
    odd: bool,
    now: &mut [i32],
    told: &mut Told,
) -> Result<(), Damaged> {
    let (guess, key, inputs, alone) = turn_guess(tables, motion, past, group, told.missed);
    let order = order(&guess);
    let turning = motion.turning.unwrap_or_else(|| Turning::new(past, group));
    let mut left_out = order[0];
    if odd {
        let margin = (guess[order[0]].abs() - guess[order[1]].abs()) / 32;
        let actual = (now[group.at] as usize).min(3);
        let rank = order.iter().position(|at| *at == actual).unwrap_or(0);
        let features = [clip(margin), clip(turning.reach), clip(sum(told.missed))];
        left_out = order[(coder.symbol(Model::Rank, &features, rank as u32)? as usize).min(3)];
    }
    now[group.at] = left_out as i32;
    let sign = |turn: &Turn| if turn[left_out] < 0 { -1 } else { 1 };
    let (guess_sign, newest_sign) = (sign(&guess), sign(&turning.newest));
    let missed = [scale(told.missed[0]), scale(told.missed[1]), scale(told.missed[2])];
    let (all, most) = (missed[0] + missed[1] + missed[2], missed[0].max(missed[1]).max(missed[2]));
    let mut before = [0; 2];
    let parts = [0, 1, 2, 3].into_iter().filter(|at| *at != left_out);
    for (number, at) in parts.enumerate() {
        let lane = group.at + 1 + number;
        let steps = |part: i64| part * newest_sign * group.max / 23_170;
        let (near, far) = (steps(turning.near[at]), steps(turning.far[at]));
        let expected = lane_of(guess_sign * guess[at], group.max);
        let features = [
            number as i32,
            clip(near.abs()),
            clip(far.abs()),
            clip((near - far).abs()),
            clip(turning.step),
            clip(turning.reach),
            clip(sum(motion.far)),
            all,
            most,
            before[0],
            before[1],
            clip(near - far),
            clip(far),
            clip(expected - lane_of(newest_sign * turning.newest[at], group.max)),
            around.amount[0],
            around.amount[1],
            around.distances[2],
            around.crowd,
        ];
        let read = difference(coder, Model::Turn, &features, i64::from(now[lane]) - expected)?;
        put(now, lane, expected + read, group.max)?;
        told.turned = told.turned.saturating_add(clip(read.abs()));
        before = [scale(read), before[0]];
    }
    let actual = turn_of(now, group);
    let along: i64 = (0..4).map(|at| actual[at] * guess[at]).sum();
    let sign = if along < 0 { -1 } else { 1 };
    for at in 0..4 {
        coder.observe(
            Fit::Turn,
            turning.key(),
            &[turning.near[at], turning.far[at]],
            sign * actual[at] - turning.newest[at],
        );
        coder.observe(Fit::Rolled, key, &inputs[at], sign * actual[at] - alone[at]);
    }
    Ok(())
}
