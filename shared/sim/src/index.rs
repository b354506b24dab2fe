//! Who is there: stable identities, and the sorted lists by which every system walks entities.
//!
//! Query order follows storage history and changes after a restore, so no system may depend on it: walk [`Index`] instead.
//! The index is derived from [`Identity`] by component hooks; it is not state and needs no description.

use arbiter_schema::{StableId, describe, describe_enum};
use arrayvec::ArrayVec;
use bevy_ecs::lifecycle::HookContext;
use bevy_ecs::prelude::*;
use bevy_ecs::world::DeferredWorld;

use crate::simulation::PLAYERS_MAX;

describe_enum! {
    /// What an entity is.
    pub enum Kind {
        /// A player, dead or alive.
        Player,
        /// Something that flies.
        Projectile,
        /// A turret or the like.
        Deployable,
        /// A wall that stops shots.
        Shield,
        /// A volume with an effect.
        Area,
        /// Something to pick up.
        Pickup,
        /// A dynamic body.
        Prop,
        /// A moving platform.
        Platform,
        /// A control point.
        Point,
        /// A studio's own.
        Custom,
    }
}

describe! {
    /// What every entity of a simulation has.
    #[derive(Component, Debug, Clone, PartialEq)]
    #[component(on_add = added, on_remove = removed)]
    pub struct Identity {
        /// Its identity for the whole match.
        pub id: StableId,
        /// What it is.
        pub kind: Kind => SMALL,
        /// Team from 1; 0 belongs to nobody.
        pub team: u8 => SMALL,
        /// Slot + 1 of the player that it is or belongs to; 0 is nobody's.
        pub owner: u16 => OWNER,
    }

    /// The next stable id to give away.
    #[derive(Resource, Debug, Clone, PartialEq)]
    pub struct NextId {
        /// Ids given away so far.
        pub given: u32,
    }
}

const SMALL: arbiter_schema::Spec =
    arbiter_schema::Spec::new(0.0, 255.0, 1.0, arbiter_schema::Predictor::Hold, arbiter_schema::Audience::Everyone);
const OWNER: arbiter_schema::Spec =
    arbiter_schema::Spec::new(0.0, 65_535.0, 1.0, arbiter_schema::Predictor::Hold, arbiter_schema::Audience::Everyone);

impl NextId {
    /// Makes an identity that was never given away before.
    pub fn make(&mut self, kind: Kind, team: u8, owner: Option<u16>) -> Identity {
        self.given += 1;
        Identity { id: StableId(self.given), kind, team, owner: owner.map_or(0, |slot| slot + 1) }
    }
}

impl Identity {
    /// The slot of the player that this is or belongs to.
    pub fn slot(&self) -> Option<u16> {
        self.owner.checked_sub(1)
    }
}

/// All entities by stable id, by kind and by slot.
#[derive(Resource, Debug, Default)]
pub struct Index {
    all: Vec<(StableId, Entity)>,
    kinds: [Vec<(StableId, Entity)>; Kind::ALL.len()],
    slots: Vec<Option<(StableId, Entity)>>,
}

impl Index {
    /// Every entity, by stable id.
    pub fn all(&self) -> &[(StableId, Entity)] {
        &self.all
    }

    /// Every entity of a kind, by stable id.
    pub fn of(&self, kind: Kind) -> &[(StableId, Entity)] {
        &self.kinds[kind as usize]
    }

    /// The entity with this id, if it is still there.
    pub fn entity(&self, id: StableId) -> Option<Entity> {
        let at = self.all.binary_search_by_key(&id, |entry| entry.0).ok()?;
        Some(self.all[at].1)
    }

    /// The player in this slot.
    pub fn slot(&self, slot: u16) -> Option<Entity> {
        self.slots.get(usize::from(slot)).copied().flatten().map(|entry| entry.1)
    }

    /// The id of the player in this slot.
    pub fn slot_id(&self, slot: u16) -> Option<StableId> {
        self.slots.get(usize::from(slot)).copied().flatten().map(|entry| entry.0)
    }

    /// All players by slot.
    pub fn players(&self) -> impl Iterator<Item = (u16, StableId, Entity)> + '_ {
        let by_slot = self.slots.iter().enumerate();
        by_slot.filter_map(|(slot, entry)| entry.map(|(id, entity)| (slot as u16, id, entity)))
    }

    /// The same players, to walk while the world changes.
    pub fn player_entities(&self) -> ArrayVec<Entity, { PLAYERS_MAX as usize }> {
        self.players().map(|entry| entry.2).collect()
    }
}

fn insert(list: &mut Vec<(StableId, Entity)>, id: StableId, entity: Entity) {
    let at = list.partition_point(|entry| entry.0 < id);
    list.insert(at, (id, entity));
}

fn remove(list: &mut Vec<(StableId, Entity)>, id: StableId) {
    if let Ok(at) = list.binary_search_by_key(&id, |entry| entry.0) {
        list.remove(at);
    }
}

fn added(mut world: DeferredWorld<'_>, context: HookContext) {
    let Some(identity) = world.get::<Identity>(context.entity).cloned() else { return };
    let mut index = world.resource_mut::<Index>();
    insert(&mut index.all, identity.id, context.entity);
    insert(&mut index.kinds[identity.kind as usize], identity.id, context.entity);
    if let (Kind::Player, Some(slot)) = (identity.kind, identity.slot()) {
        let slot = usize::from(slot);
        if index.slots.len() <= slot {
            index.slots.resize(slot + 1, None);
        }
        index.slots[slot] = Some((identity.id, context.entity));
    }
}

fn removed(mut world: DeferredWorld<'_>, context: HookContext) {
    let Some(identity) = world.get::<Identity>(context.entity).cloned() else { return };
    let mut index = world.resource_mut::<Index>();
    remove(&mut index.all, identity.id);
    remove(&mut index.kinds[identity.kind as usize], identity.id);
    if let (Kind::Player, Some(slot)) = (identity.kind, identity.slot()) {
        index.slots[usize::from(slot)] = None;
    }
}
