//! One entity: which symbols tell it, in which order, and what both ends know when each is coded.

use super::drift::{FINE, Sight};
use super::glide::{self, Glide};
use super::groups::{Groups, NOTED};
use super::numbers::{SYMBOLS, Turn, difference, normal, scale};
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
    /// Whether guesses follow what neighbours missed theirs by, as among bodies that lie upon each other.
    pub pushes: bool,
    /// Whether it is told in the small form of a part, where a model says whether it goes on as expected.
    pub in_part: bool,
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
#[derive(Clone, Copy)]
struct Motion {
    step: i32,
    far: [i64; 3],
    turning: Option<Turning>,
}

impl Motion {
    fn new(plan: &Plan, past: &Past<'_>) -> Self {
        let (mut step, mut far) = ([0; 3], [0; 3]);
        if let Some(place) = plan.place {
            for axis in 0..3 {
                step[axis] = past.step(place + axis);
                far[axis] = past.far(place + axis);
            }
        }
        let step = clip(sum(step));
        let turning = plan.turns.first().map(|number| Turning::new(past, &plan.groups[*number]));
        Self { step, far, turning }
    }

    fn turn_step(&self) -> i32 {
        self.turning.map_or(0, |turning| clip(turning.step))
    }

    fn turn_reach(&self) -> i32 {
        self.turning.map_or(0, |turning| clip(turning.reach))
    }
}

/// An entity of which something is about to be told, and what both ends know of it before. What is asked twice is found once.
pub struct Subject<'a> {
    tables: &'a Tables,
    plan: &'a Plan,
    past: &'a Past<'a>,
    /// Which groups were in motion.
    moving: Groups,
    /// For a writer: which are not as they were.
    changed: Option<Groups>,
    motion: Option<Motion>,
    /// The guesses of the place's axes.
    place: Option<[AxisGuess; 3]>,
    /// The guess of the rotation, by where its place had missed its guess.
    turn: Option<([i64; 3], TurnGuess)>,
    /// The guesses of what drifts and of what spins.
    sights: [Option<Sight>; 2],
    /// Whether these were told at once.
    glides: bool,
}

/// Where an axis was guessed to be: with neighbours, without, and how far it goes.
type AxisGuess = (i64, i64, i64);

/// Where a rotation was guessed to turn.
#[derive(Clone, Copy)]
struct TurnGuess {
    guess: Turn,
    turning: Turning,
    /// By what it rolls further, and from where.
    key: usize,
    inputs: [[i64; 4]; 4],
    alone: Turn,
}

impl<'a> Subject<'a> {
    /// An entity with this past.
    pub fn new(tables: &'a Tables, plan: &'a Plan, past: &'a Past<'a>) -> Self {
        let (moving, changed) = (Groups::differing(plan, past.states), None);
        let (motion, place, turn, sights) = (None, None, None, [None; 2]);
        Self { tables, plan, past, moving, changed, motion, place, turn, sights, glides: false }
    }

    /// Whether any group was in motion at the states that are held.
    pub fn active(&self) -> bool {
        !self.moving.is_empty() || self.unnoted(0).any(|number| self.moves(number))
    }

    #[inline]
    fn moves(&self, number: usize) -> bool {
        if number < NOTED { self.moving.has(number) } else { self.past.moves(self.plan.groups[number].lanes()) }
    }

    /// Groups that have no bit, from one on.
    fn unnoted(&self, from: usize) -> impl Iterator<Item = usize> + use<> {
        from.max(NOTED)..self.plan.groups.len()
    }

    /// The same, those at rest.
    fn unnoted_resting(&self, from: usize) -> impl Iterator<Item = usize> {
        self.unnoted(from).filter(|number| !self.moves(*number))
    }

    /// Groups at rest that have a bit, from one on.
    fn resting(&self, from: usize) -> Groups {
        Groups::within(from, self.plan.groups.len()).without(self.moving)
    }

    /// How many groups are at rest from one on up to the next that is not, or fewer.
    fn run(&self, from: usize) -> usize {
        let to = self.plan.groups.len().min(NOTED);
        if from < to {
            self.moving.among(Groups::within(from, to)).first().min(to) - from
        } else {
            usize::from(!self.moves(from))
        }
    }

    /// Groups that are not as they were, of those that have a bit; for a reader, who does not know, any.
    fn changed(&mut self, now: &[i32]) -> Groups {
        let (plan, newest) = (self.plan, self.past.states[0]);
        *self.changed.get_or_insert_with(|| Groups::differing(plan, [newest, now, newest]))
    }

    /// Rotations in motion.
    fn turns(&self) -> impl Iterator<Item = &'a Group> {
        let turns = self.plan.turns.iter().filter(|number| self.moves(**number));
        turns.map(|number| &self.plan.groups[*number])
    }

    /// The guess of a group that drifts or spins.
    fn sight(&mut self, number: usize) -> Sight {
        let group = &self.plan.groups[number];
        let slot = self.plan.free.iter().position(|free| *free == Some(number));
        if let Some(sight) = slot.and_then(|slot| self.sights[slot]) {
            return sight;
        }
        let of = if group.kind == Kind::Spin { Sight::spin } else { Sight::drift };
        let sight = of(self.past, group);
        if let Some(slot) = slot {
            self.sights[slot] = Some(sight);
        }
        sight
    }

    /// By how much a place that drifts missed its guess.
    fn drift_missed(&mut self, number: usize, now: &[i32]) -> [i64; 3] {
        let group = &self.plan.groups[number];
        let fine = self.sight(number).fine;
        [0, 1, 2].map(|at| i64::from(now[group.at + at]) - glide::nearest(fine[at], group.max))
    }

    #[inline]
    fn stays(&self, number: usize, now: &[i32]) -> bool {
        self.plan.groups[number].lanes().all(|lane| now[lane] == self.past.states[0][lane])
    }

    #[inline]
    fn motion(&mut self) -> Motion {
        *self.motion.get_or_insert_with(|| Motion::new(self.plan, self.past))
    }

    /// The guess of the rotation, where the place missed its guess by so much.
    fn turn_guess(&mut self, group: &Group, missed: [i64; 3]) -> TurnGuess {
        if let Some((by, guess)) = self.turn
            && by == missed
        {
            return guess;
        }
        let motion = self.motion();
        let turning = motion.turning.unwrap_or_else(|| Turning::new(self.past, group));
        let (alone, way) = turning.guess(self.tables);
        let (key, inputs) = turning.rolled(&way, motion.far, missed);
        let mut guess = alone;
        for (part, inputs) in guess.iter_mut().zip(&inputs) {
            *part += self.tables.fit(Fit::Rolled, key, inputs);
        }
        let guess = TurnGuess { guess: normal(guess), turning, key, inputs, alone };
        self.turn = Some((missed, guess));
        guess
    }

    /// Whether an entity in motion has to be told group by group: something else moves than did, or it stopped altogether, or
    /// another component of its rotation is the largest than the one that was guessed.
    pub fn odd(&mut self, around: &Around, now: &[i32]) -> bool {
        now == self.past.states[0] || self.surprises(around, now)
    }

    fn surprises(&mut self, around: &Around, now: &[i32]) -> bool {
        let (plan, past) = (self.plan, self.past);
        let changed = self.changed(now);
        if !self.resting(0).among(changed).is_empty() || self.unnoted_resting(0).any(|number| !self.stays(number, now))
        {
            return true;
        }
        for number in &plan.spins {
            let left_out = (now[plan.groups[*number].at] as usize).min(3);
            if self.moves(*number) && left_out != self.sight(*number).left_out {
                return true;
            }
        }
        let Some(turn) = self.turns().next() else { return false };
        // As the walk does it: where the place missed its guess is known before anything else is guessed.
        let mut missed = [0; 3];
        if let Some(number) = plan.place_group.filter(|number| self.moves(*number)) {
            let group = &plan.groups[number];
            if group.kind == Kind::Drift {
                missed = self.drift_missed(number, now);
            } else {
                let mut guesses = [AxisGuess::default(); 3];
                for (axis, guess) in guesses.iter_mut().enumerate() {
                    *guess = axis_guess(self.tables, past, group, axis, around);
                    missed[axis] = i64::from(now[group.at + axis]) - guess.1;
                }
                self.place = Some(guesses);
            }
        }
        let largest = order(&self.turn_guess(turn, missed).guess)[0];
        self.turns().any(|group| (now[group.at] as usize).min(3) != largest)
    }
}

fn axis_guess(tables: &Tables, past: &Past<'_>, group: &Group, axis: usize, around: &Around) -> AxisGuess {
    let lane = group.at + axis;
    let (key, inputs) = axis_inputs(past, lane, axis == 1);
    let goes = tables.fit(Fit::Axis, key, &inputs);
    let alone = (past.newest(lane) + goes).clamp(0, group.max);
    let (key, inputs) = contact_inputs(around, axis);
    let pushed = if around.pushes && around.crowd > 0 { tables.fit(Fit::Contact, key, &inputs) } else { 0 };
    ((alone + pushed).clamp(0, group.max), alone, goes)
}

/// What is pushed moves with what pushes it: by the distance to the nearest and how many there are.
fn contact_inputs(around: &Around, axis: usize) -> (usize, [i64; 3]) {
    let near = (scale(i64::from(around.distances[0])) - 8).clamp(0, 15) as usize;
    let driver = (scale(i64::from(around.distances[2])) - 12).clamp(0, 15) as usize / 4;
    let key = (driver * 16 + near) * 4 + (around.crowd / 2).min(3) as usize;
    (key, [around.missed[0][axis], around.missed[1][axis], around.missed[2][axis]])
}

/// The components by size, largest first.
fn order(turn: &Turn) -> [usize; 4] {
    let mut order = [0, 1, 2, 3];
    // By insertion: for four a sort of any length costs several times as much.
    for next in 1..4 {
        for at in (1..=next).rev() {
            if turn[order[at]].abs() > turn[order[at - 1]].abs() {
                order.swap(at, at - 1);
            }
        }
    }
    order
}

impl Subject<'_> {
    /// Tells or reads the entity, with what says how: the form that stands by itself. `writes` says whether `now` is given.
    pub fn change<C: Coder>(
        &mut self,
        coder: &mut C,
        around: &Around,
        writes: bool,
        now: &mut [i32],
    ) -> Result<Told, Damaged> {
        let free = self.plan.free.map(|number| number.filter(|number| self.moves(*number)));
        if free == [None; 2] {
            let odd = writes && (!self.active() || self.odd(around, now));
            let odd = u32::from(odd);
            let odd = if around.in_part {
                let (active, age) = (i32::from(self.active()), clip(self.past.age));
                let (groups, step) = (self.plan.groups.len() as i32, self.motion().step);
                let features = [active, step, groups, age, around.distances[0], around.amount[0], around.crowd];
                coder.symbol(Model::Odd, &features, odd)?
            } else {
                coder.raw(odd, 1)?
            };
            return self.tell(coder, around, odd != 0, now);
        }
        let sights = free.map(|number| number.map(|number| (self.plan.groups[number], self.sight(number))));
        let glide = Glide::new(sights, self.past.age, [around.distances[0], around.amount[0], around.amount[1]]);
        let mut symbol = glide::ODD;
        if writes && !self.surprises(around, now) {
            let is_still = now == self.past.states[0];
            symbol = glide.pattern(now).unwrap_or(if is_still { glide::ODD } else { glide::OFF });
        }
        symbol = coder.symbol(Model::Glide, glide.features(), symbol)?;
        if symbol < glide::OFF {
            glide.put(symbol, now)?;
            self.glides = true;
            for (group, sight) in sights.iter().flatten() {
                if group.kind == Kind::Spin {
                    now[group.at] = sight.left_out as i32;
                }
                let first = glide::first_lane(group);
                (first..first + 3).try_for_each(|lane| put(now, lane, i64::from(now[lane]), group.max))?;
            }
        }
        self.tell(coder, around, symbol == glide::ODD, now)
    }

    /// Tells or reads the entity: a writer finds its lanes in `now`, a reader puts them there. `odd` as both ends know it by
    /// now.
    pub fn tell<C: Coder>(
        &mut self,
        coder: &mut C,
        around: &Around,
        odd: bool,
        now: &mut [i32],
    ) -> Result<Told, Damaged> {
        let (plan, past) = (self.plan, self.past);
        let mut told = Told::default();
        let in_motion = i32::from(self.active());
        if odd && coder.symbol(Model::Mask, &[in_motion], u32::from(now != past.states[0]))? == 0 {
            now.copy_from_slice(past.states[0]);
            return Ok(told);
        }
        // Where it is comes first: what else changes hangs together with how far it missed its guess.
        let first = plan.place_group.filter(|at| self.moves(*at));
        if let Some(at) = first {
            self.group(coder, around, odd, at, now, &mut told)?;
        }
        // Groups at rest that are still to come, and how many of them stay as they were before the next that does not.
        let (mut resting, mut left) = (0, 0);
        if odd {
            resting = self.resting(0).count() + self.unnoted_resting(0).count();
            left = self.skip(coder, &told, resting, now, 0)?;
        }
        let mut number = 0;
        while number < plan.groups.len() {
            let run = self.run(number);
            if run > 0 {
                let staying = if odd { run.min(left) } else { run };
                let lanes = plan.lanes_of(number..number + staying);
                now[lanes.clone()].copy_from_slice(&past.states[0][lanes]);
                (number, resting, left) = (number + staying, resting.saturating_sub(staying), left - staying.min(left));
                if staying == run {
                    continue;
                }
                resting = resting.saturating_sub(1);
                self.group(coder, around, odd, number, now, &mut told)?;
                left = self.skip(coder, &told, resting, now, number + 1)?;
            } else if first != Some(number) {
                self.group(coder, around, odd, number, now, &mut told)?;
            }
            number += 1;
        }
        Ok(told)
    }

    /// How many groups at rest, from one on, stay as they were before one that does not, or all that are left.
    fn skip<C: Coder>(
        &mut self,
        coder: &mut C,
        told: &Told,
        resting: usize,
        now: &[i32],
        from: usize,
    ) -> Result<usize, Damaged> {
        let (resting_from, changed) = (self.resting(from), self.changed(now));
        let mut actual = resting_from.before(resting_from.among(changed)).count();
        if actual == resting_from.count() {
            actual += self.unnoted_resting(from).take_while(|number| self.stays(*number, now)).count();
        }
        let features = [
            from as i32,
            resting as i32,
            i32::from(self.active()),
            scale(sum(told.missed)),
            self.motion().step,
            self.plan.groups.len() as i32,
        ];
        let mut skipped = 0;
        loop {
            // The last symbol stands for so many and more.
            let most = SYMBOLS as usize - 1;
            let symbol =
                coder.symbol(Model::Skip, &features, (actual - skipped.min(actual)).min(most) as u32)? as usize;
            skipped += symbol;
            if symbol < most || skipped >= resting {
                return Ok(skipped);
            }
        }
    }

    fn group<C: Coder>(
        &mut self,
        coder: &mut C,
        around: &Around,
        odd: bool,
        number: usize,
        now: &mut [i32],
        told: &mut Told,
    ) -> Result<(), Damaged> {
        let group = &self.plan.groups[number];
        match group.kind {
            Kind::Axes => self.axes(coder, group, around, now, told),
            Kind::Turn => self.turn(coder, group, around, odd, now, told),
            Kind::Drift | Kind::Spin => self.free(coder, around, number, odd, now, told),
            Kind::Linear | Kind::Hold => lane(coder, self.plan, self.past, number, told, now),
        }
    }

    /// A place that drifts, or a rotation that spins.
    fn free<C: Coder>(
        &mut self,
        coder: &mut C,
        around: &Around,
        number: usize,
        odd: bool,
        now: &mut [i32],
        told: &mut Told,
    ) -> Result<(), Damaged> {
        let (group, spins) = (self.plan.groups[number], self.plan.groups[number].kind == Kind::Spin);
        let mut sight = self.sight(number);
        let was_told = self.glides && self.plan.free.contains(&Some(number));
        if !was_told {
            if spins {
                let left_out =
                    if odd { coder.raw(now[group.at].clamp(0, 3) as u32, 2)? } else { sight.left_out as u32 };
                sight.leaving_out(left_out as usize, self.past, &group);
                now[group.at] = left_out as i32;
            }
            let mut before = [0; 2];
            for (at, fine) in sight.fine.iter().enumerate() {
                let lane = glide::first_lane(&group) + at;
                let guess = glide::nearest(*fine, group.max);
                let features = [
                    i32::from(spins),
                    clip(fine - guess * FINE),
                    sight.line.spread,
                    sight.line.states,
                    sight.line.off,
                    clip(self.past.age),
                    before[0],
                    before[1],
                    scale(sum(told.missed)),
                    clip(guess - self.past.newest(lane)),
                    around.distances[0],
                    around.amount[0],
                    around.amount[1],
                ];
                let read = difference(coder, Model::Free, &features, i64::from(now[lane]) - guess)?;
                put(now, lane, guess + read, group.max)?;
                before = [scale(read), before[0]];
                told.turned = told.turned.saturating_add(if spins { clip(read.abs()) } else { 0 });
            }
        }
        if self.plan.place == Some(group.at) {
            told.missed = self.drift_missed(number, now);
        }
        Ok(())
    }

    fn axes<C: Coder>(
        &mut self,
        coder: &mut C,
        group: &Group,
        around: &Around,
        now: &mut [i32],
        told: &mut Told,
    ) -> Result<(), Damaged> {
        let (tables, plan, past, motion) = (self.tables, self.plan, self.past, self.motion());
        let known = self.place.filter(|_| plan.place == Some(group.at));
        let mut far = [0; 3];
        for (axis, far) in far.iter_mut().enumerate() {
            *far = past.far(group.at + axis);
        }
        let mut before = [0; 2];
        // Up first: what falls or lands tells most of what the others do.
        for axis in [1, 0, 2] {
            let lane = group.at + axis;
            let known = known.map(|known| known[axis]);
            let (guess, alone, goes) = known.unwrap_or_else(|| axis_guess(tables, past, group, axis, around));
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
            if C::OBSERVES {
                let (key, inputs) = axis_inputs(past, lane, axis == 1);
                coder.observe(Fit::Axis, key, &inputs, i64::from(now[lane]) - past.newest(lane));
                if around.pushes && around.crowd > 0 {
                    let (key, inputs) = contact_inputs(around, axis);
                    coder.observe(Fit::Contact, key, &inputs, missed);
                }
            }
            before = [scale(read), before[0]];
            if plan.place == Some(group.at) {
                told.missed[axis] = missed;
            }
        }
        Ok(())
    }

    fn turn<C: Coder>(
        &mut self,
        coder: &mut C,
        group: &Group,
        around: &Around,
        odd: bool,
        now: &mut [i32],
        told: &mut Told,
    ) -> Result<(), Damaged> {
        let motion = self.motion();
        let TurnGuess { guess, turning, key, inputs, alone } = self.turn_guess(group, told.missed);
        let order = order(&guess);
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
        if !C::OBSERVES {
            return Ok(());
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
