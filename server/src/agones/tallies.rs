//! What this server tells Agones to be chosen by: the counters `rooms` and `players`, the lists `matches` and `players`. An
//! allocation asks for `minAvailable` of a counter, or for a server whose list contains a match.
//!
//! The server is the only one who knows, so it says what is, not what changed: whoever allocates may count up meanwhile, and is
//! corrected once the server knows better. Little that changes goes as single values, which leaves others' alone; much goes at once.

use super::sidecar::{Counter, LIST_MAX, List, Sidecar, SidecarError};

/// Rooms with players, or with a match that was ordered; the capacity is all rooms.
pub const ROOMS: &str = "rooms";
/// Players who are in or on their way; the capacity is all places.
pub const PLAYERS: &str = "players";
/// Matches of those rooms, each as 32 hexadecimal digits.
pub const MATCHES: &str = "matches";

/// Of a list that changes by more values than so many, all are sent at once.
const SINGLES_MAX: usize = 4;

/// What there is to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// See [`ROOMS`].
    pub rooms: Counter,
    /// See [`PLAYERS`].
    pub players: Counter,
    /// See [`MATCHES`], sorted.
    pub matches: Vec<String>,
    /// How many there can be.
    pub matches_max: usize,
    /// Players with accounts, as digits, sorted. Of more than [`LIST_MAX`] the rest is left out; the counter has all.
    pub ids: Vec<String>,
    /// How many there can be.
    pub ids_max: usize,
}

/// What was told of one counter or list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told<T> {
    /// Nothing, or of a sidecar that is gone.
    Nothing,
    This(T),
    /// The game server does not declare it.
    Undeclared,
}

/// See the module.
#[derive(Debug)]
pub struct Tallies {
    rooms: Told<Counter>,
    players: Told<Counter>,
    matches: Told<List>,
    ids: Told<List>,
}

impl Default for Tallies {
    fn default() -> Self {
        Self { rooms: Told::Nothing, players: Told::Nothing, matches: Told::Nothing, ids: Told::Nothing }
    }
}

impl Tallies {
    /// Tells everything again, since the sidecar may know something else.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Tells what is not told yet, in up to four calls or some more for lists; stops at the first that fails.
    pub fn tell(&mut self, sidecar: &Sidecar, now: &Tally) -> Result<(), SidecarError> {
        counter(sidecar, ROOMS, &mut self.rooms, now.rooms)?;
        counter(sidecar, PLAYERS, &mut self.players, now.players)?;
        list(sidecar, MATCHES, &mut self.matches, &now.matches, now.matches_max)?;
        list(sidecar, PLAYERS, &mut self.ids, &now.ids, now.ids_max)
    }
}

fn counter(sidecar: &Sidecar, name: &str, told: &mut Told<Counter>, now: Counter) -> Result<(), SidecarError> {
    if *told == Told::Undeclared || *told == Told::This(now) {
        return Ok(());
    }
    if *told == Told::Nothing && sidecar.counter(name).or_else(|error| undeclared(name, error))? == now {
        *told = Told::This(now);
        return Ok(());
    }
    *told = match sidecar.set_counter(name, now) {
        Ok(()) => Told::This(now),
        Err(SidecarError::Undeclared { .. }) => Told::Undeclared,
        Err(error) => return Err(error),
    };
    Ok(())
}

/// Says once what is left out; the call that follows says it to us too.
fn undeclared<T: Default>(name: &str, error: SidecarError) -> Result<T, SidecarError> {
    if matches!(error, SidecarError::Undeclared { .. }) {
        tracing::warn!("{name} is not told to Agones: {error}");
        return Ok(T::default());
    }
    Err(error)
}

fn list(
    sidecar: &Sidecar,
    name: &str,
    told: &mut Told<List>,
    values: &[String],
    capacity: usize,
) -> Result<(), SidecarError> {
    let now = List { capacity: capacity.min(LIST_MAX) as i64, values: values.iter().take(LIST_MAX).cloned().collect() };
    let before = match told {
        Told::Undeclared => return Ok(()),
        Told::This(before) if *before == now => return Ok(()),
        Told::This(before) => before.clone(),
        Told::Nothing => {
            let mut there = sidecar.list(name).or_else(|error| undeclared(name, error))?;
            there.values.sort_unstable();
            there
        }
    };
    match change(sidecar, name, &before, &now) {
        Ok(()) => *told = Told::This(now),
        Err(SidecarError::Undeclared { .. }) if *told == Told::Nothing => *told = Told::Undeclared,
        Err(error) => {
            // Some of it may be done: the next time everything is compared with what is there.
            *told = Told::Nothing;
            return Err(error);
        }
    }
    Ok(())
}

fn change(sidecar: &Sidecar, name: &str, before: &List, now: &List) -> Result<(), SidecarError> {
    let gone: Vec<&String> = before.values.iter().filter(|value| now.values.binary_search(value).is_err()).collect();
    let new: Vec<&String> = now.values.iter().filter(|value| before.values.binary_search(value).is_err()).collect();
    if before.capacity != now.capacity || gone.len() + new.len() > SINGLES_MAX {
        return sidecar.set_list(name, now);
    }
    // Gone first: there may be no place for the new ones.
    gone.into_iter().try_for_each(|value| sidecar.remove_from_list(name, value))?;
    new.into_iter().try_for_each(|value| sidecar.add_to_list(name, value))
}
