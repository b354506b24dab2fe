//! All state by its description: hash, checkpoint, restore, dump and replication rows come from one list of components.
//!
//! A plugin adds its components with [`DescribeApp::describe`] and its singletons with [`DescribeApp::describe_resource`].
//! What is not added here is not state: it may live for one tick only, or be derived anew after a restore.

use arbiter_schema::{
    ByteSink, ComponentId, DecodeError, Describe, DumpSink, HashSink, Leaf, Reader, Registry, StableId,
};
use bevy_app::App;
use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::*;

use crate::index::{Identity, Index};

/// One described component or singleton, with what can be done to it without knowing its type.
struct Column {
    id: ComponentId,
    name: &'static str,
    lanes: usize,
    singleton: bool,
    hash: fn(&World, &Index, &mut HashSink),
    encode: fn(&World, Entity, &mut Vec<u8>) -> bool,
    insert: fn(&mut World, Entity, &mut Reader<'_>) -> Result<(), DecodeError>,
    dump: fn(&World, Entity) -> Option<Vec<Leaf>>,
    to_lanes: fn(&World, Entity, &mut Vec<i32>) -> bool,
    from_lanes: fn(&mut World, Entity, &[i32]),
}

/// The list of everything that is state.
#[derive(Resource, Default)]
pub struct Descriptions {
    registry: Registry,
    columns: Vec<Column>,
}

/// Adds descriptions to an app.
pub trait DescribeApp {
    /// Makes a component part of the state. Call it once, in the plugin that defines the component.
    fn describe<C: Describe + Component<Mutability = Mutable>>(&mut self) -> &mut Self;
    /// Makes a resource part of the state and inserts its default.
    fn describe_resource<R: Describe + Resource<Mutability = Mutable>>(&mut self) -> &mut Self;
}

impl DescribeApp for App {
    fn describe<C: Describe + Component<Mutability = Mutable>>(&mut self) -> &mut Self {
        self.init_resource::<Descriptions>();
        let mut descriptions = self.world_mut().resource_mut::<Descriptions>();
        let id = descriptions.registry.add::<C>();
        let lanes = descriptions.registry.components()[usize::from(id)].lanes.len();
        descriptions.columns.push(Column {
            id,
            name: C::NAME,
            lanes,
            singleton: false,
            hash: |world, index, hash| {
                for &(id, entity) in index.all() {
                    if let Some(component) = world.get::<C>(entity) {
                        id.write(hash);
                        component.write(hash);
                    }
                }
            },
            encode: |world, entity, out| {
                let found = world.get::<C>(entity);
                if let Some(component) = found {
                    component.write(&mut ByteSink(out));
                }
                found.is_some()
            },
            insert: |world, entity, from| {
                let component = C::read(from)?;
                world.entity_mut(entity).insert(component);
                Ok(())
            },
            dump: |world, entity| {
                let mut dump = DumpSink::default();
                world.get::<C>(entity)?.write(&mut dump);
                Some(dump.leaves)
            },
            to_lanes: |world, entity, out| {
                let found = world.get::<C>(entity);
                if let Some(component) = found {
                    component.to_lanes(out);
                }
                found.is_some()
            },
            from_lanes: |world, entity, lanes| {
                world.entity_mut(entity).insert(C::from_lanes(lanes));
            },
        });
        self
    }

    fn describe_resource<R: Describe + Resource<Mutability = Mutable>>(&mut self) -> &mut Self {
        self.init_resource::<Descriptions>();
        if !self.world().contains_resource::<R>() {
            self.insert_resource(R::default());
        }
        let mut descriptions = self.world_mut().resource_mut::<Descriptions>();
        let id = descriptions.registry.add::<R>();
        let lanes = descriptions.registry.components()[usize::from(id)].lanes.len();
        descriptions.columns.push(Column {
            id,
            name: R::NAME,
            lanes,
            singleton: true,
            hash: |world, _, hash| world.resource::<R>().write(hash),
            encode: |world, _, out| {
                world.resource::<R>().write(&mut ByteSink(out));
                true
            },
            insert: |world, _, from| {
                let read = R::read(from)?;
                *world.resource_mut::<R>() = read;
                Ok(())
            },
            dump: |world, _| {
                let mut dump = DumpSink::default();
                world.resource::<R>().write(&mut dump);
                Some(dump.leaves)
            },
            to_lanes: |world, _, out| {
                world.resource::<R>().to_lanes(out);
                true
            },
            from_lanes: |world, _, lanes| *world.resource_mut::<R>() = R::from_lanes(lanes),
        });
        self
    }
}

use arbiter_schema::Value as _;

/// All described state of one entity, readable. Singletons have the id [`StableId::NONE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityDump {
    /// Which entity.
    pub id: StableId,
    /// What it is; `Match` for the singletons.
    pub kind: &'static str,
    /// Its components by name, each with its leaves.
    pub components: Vec<(&'static str, Vec<Leaf>)>,
}

/// One replicated component of one entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    /// Which entity; [`StableId::NONE`] for a singleton of the match.
    pub id: StableId,
    /// Which component.
    pub component: ComponentId,
    /// Slot of the player that it is or belongs to.
    pub owner: Option<u16>,
    /// Team from 1; 0 belongs to nobody.
    pub team: u8,
    /// One value per lane of the component's description.
    pub lanes: &'a [i32],
}

/// Any entity stands in for the functions of singletons, which ignore it.
const NOBODY: Entity = Entity::PLACEHOLDER;

impl Descriptions {
    /// The components, as `snapshot` and tools know them.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The hash of each component over all entities, in registry order.
    pub fn hashes<'a>(&'a self, world: &'a World) -> impl Iterator<Item = (&'static str, u64)> + 'a {
        let index = world.resource::<Index>();
        self.columns.iter().map(move |column| {
            let mut hash = HashSink::default();
            (column.hash)(world, index, &mut hash);
            (column.name, hash.finish())
        })
    }

    /// Appends all described state.
    pub fn encode(&self, world: &World, out: &mut Vec<u8>) {
        let index = world.resource::<Index>();
        for column in self.columns.iter().filter(|column| column.singleton) {
            (column.encode)(world, NOBODY, out);
        }
        (index.all().len() as u32).write(&mut ByteSink(out));
        for &(_, entity) in index.all() {
            let count_at = out.len();
            0u16.write(&mut ByteSink(out));
            let mut count = 0u16;
            for column in self.columns.iter().filter(|column| !column.singleton) {
                let id_at = out.len();
                column.id.write(&mut ByteSink(out));
                if (column.encode)(world, entity, out) {
                    count += 1;
                } else {
                    out.truncate(id_at);
                }
            }
            out[count_at..count_at + 2].copy_from_slice(&count.to_le_bytes());
        }
    }

    /// Replaces all described state. On an error the world is left half-way and must be thrown away.
    pub fn decode(&self, world: &mut World, from: &mut Reader<'_>) -> Result<(), DecodeError> {
        let old: Vec<Entity> = world.resource::<Index>().all().iter().map(|entry| entry.1).collect();
        for entity in old {
            world.despawn(entity);
        }
        for column in self.columns.iter().filter(|column| column.singleton) {
            (column.insert)(world, NOBODY, from)?;
        }
        let entities = u32::read(from)?;
        for _ in 0..entities {
            let entity = world.spawn_empty().id();
            for _ in 0..u16::read(from)? {
                let id = ComponentId::read(from)?;
                let column = self.columns.get(usize::from(id)).filter(|column| !column.singleton);
                let column = column.ok_or_else(|| from.invalid("component id", u64::from(id)))?;
                (column.insert)(world, entity, from)?;
            }
            if world.get::<Identity>(entity).is_none() {
                return Err(from.invalid("entity without identity", 0));
            }
        }
        Ok(())
    }

    /// Gives an entity a component as it was told; nothing for components that are not told.
    pub(crate) fn tell(&self, world: &mut World, entity: Entity, component: ComponentId, lanes: &[i32]) {
        if let Some(column) = self.columns.get(usize::from(component))
            && column.lanes == lanes.len()
            && column.lanes > 0
        {
            (column.from_lanes)(world, entity, lanes);
        }
    }

    /// Appends the lanes of an entity's component; false if it has none.
    pub(crate) fn lanes(&self, world: &World, entity: Entity, component: ComponentId, out: &mut Vec<i32>) -> bool {
        self.columns.get(usize::from(component)).is_some_and(|column| (column.to_lanes)(world, entity, out))
    }

    /// All described state as text, singletons first, then entities by stable id.
    pub fn dump(&self, world: &World) -> Vec<EntityDump> {
        let of = |entity: Entity, singleton: bool| {
            let columns = self.columns.iter().filter(move |column| column.singleton == singleton);
            columns.filter_map(move |column| Some((column.name, (column.dump)(world, entity)?))).collect()
        };
        let mut dumps = vec![EntityDump { id: StableId::NONE, kind: "Match", components: of(NOBODY, true) }];
        for &(id, entity) in world.resource::<Index>().all() {
            let kind = world.get::<Identity>(entity).map_or("", |identity| identity.kind.name());
            dumps.push(EntityDump { id, kind, components: of(entity, false) });
        }
        dumps
    }

    /// Every replicated component by (stable id, component). Singletons come first, under [`StableId::NONE`].
    pub fn rows(&self, world: &World, f: &mut dyn FnMut(Row<'_>)) {
        let mut lanes = Vec::with_capacity(128);
        let mut tell = |column: &Column, entity, id, owner, team| {
            lanes.clear();
            if (column.to_lanes)(world, entity, &mut lanes) {
                f(Row { id, component: column.id, owner, team, lanes: &lanes });
            }
        };
        for column in self.columns.iter().filter(|column| column.singleton && column.lanes > 0) {
            tell(column, NOBODY, StableId::NONE, None, 0);
        }
        for &(id, entity) in world.resource::<Index>().all() {
            let Some((owner, team)) = world.get::<Identity>(entity).map(|identity| (identity.slot(), identity.team))
            else {
                continue;
            };
            for column in self.columns.iter().filter(|column| !column.singleton && column.lanes > 0) {
                tell(column, entity, id, owner, team);
            }
        }
    }
}
