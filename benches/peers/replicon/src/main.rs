//! bevy_replicon's server on the scene of the bench `replication`: a line `replicon CLIENTS MICROSECONDS BYTES` for each number
//! of clients, with the middle tick's thread CPU and the mean bytes a client and tick.

#[path = "../../scene.rs"]
#[allow(dead_code)]
mod scene;

use std::collections::VecDeque;
use std::time::Duration;

use bevy::prelude::*;
use bevy::state::app::StatesPlugin;
use bevy_replicon::prelude::*;
use bevy_replicon::shared::backend::channels::ServerChannel;
use bevy_replicon::test_app::{ServerTestAppExt, TestClientEntity};
use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use scene::{CLIENTS, Dice, ENTITIES, TICKS, WARM_TICKS, delay_ticks, first_of, knows, motion};
use serde::{Deserialize, Serialize};

/// What is replicated.
#[derive(Component, Serialize, Deserialize, Clone, Copy)]
struct Pose([f32; 7]);

/// Who it is.
#[derive(Component)]
struct Number(u32);

/// On things, their number; on clients, the first that they know.
#[derive(Component, Clone, Copy)]
#[component(immutable)]
struct Known(u32);

impl VisibilityFilter for Known {
    type ClientComponent = Self;
    type Scope = Entity;

    fn is_visible(&self, _: Entity, client: Option<&Self>) -> bool {
        client.is_some_and(|first| knows(first.0, self.0))
    }
}

/// Messages under way to or from a client.
struct Link {
    app: App,
    delay: u32,
    down: VecDeque<(u32, usize, Bytes)>,
    up: VecDeque<(u32, usize, Bytes)>,
}

fn app() -> App {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, StatesPlugin, RepliconPlugins.set(ServerPlugin::new(PostUpdate))));
    app.replicate::<Pose>().add_visibility_filter::<Known>().finish();
    app
}

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

fn main() {
    for clients in CLIENTS {
        measure(clients);
    }
}

fn measure(clients: usize) {
    let mut server = app();
    for entity in 0..ENTITIES {
        server.world_mut().spawn((Replicated, Number(entity), Known(entity), Pose(motion(entity, 0))));
    }
    let mut links: Vec<Link> = (0..clients)
        .map(|client| {
            let mut app = app();
            server.connect_client(&mut app);
            let on_server = **app.world().resource::<TestClientEntity>();
            server.world_mut().entity_mut(on_server).insert(Known(first_of(client)));
            Link { app, delay: delay_ticks(client, clients), down: VecDeque::new(), up: VecDeque::new() }
        })
        .collect();
    let (mut dice, mut bytes, mut samples) = (Dice(7), 0, Vec::new());
    for tick in 1..=WARM_TICKS + TICKS {
        let mut things = server.world_mut().query::<(&Number, &mut Pose)>();
        for (number, mut pose) in things.iter_mut(server.world_mut()) {
            pose.0 = motion(number.0, tick);
        }
        let began = cpu();
        server.update();
        let took = cpu() - began;
        let sent = exchange(&mut server, &mut links, tick, &mut dice);
        if tick > WARM_TICKS {
            samples.push(took);
            bytes += sent;
        }
    }
    samples.sort_unstable();
    let per_client = bytes as f64 / f64::from(TICKS) / clients as f64;
    println!("replicon {clients} {:.1} {per_client:.1}", samples[samples.len() / 2].as_secs_f64() * 1e6);
    for link in &mut links {
        let known = link.app.world_mut().query::<&Pose>().iter(link.app.world()).len();
        assert_eq!(known, scene::RELEVANT as usize, "a client knows what it may");
    }
}

/// Moves what is due; returns the bytes that the server has sent in this tick.
fn exchange(server: &mut App, links: &mut [Link], tick: u32, dice: &mut Dice) -> usize {
    let mut sent = 0;
    let unreliable = usize::from(ServerChannel::Mutations);
    let all: Vec<_> = server.world_mut().resource_mut::<ServerMessages>().drain_sent().collect();
    for link in links.iter_mut() {
        let me = **link.app.world().resource::<TestClientEntity>();
        for (_, channel, message) in all.iter().filter(|(to, ..)| *to == me) {
            sent += message.len();
            if *channel != unreliable || !dice.loses() {
                link.down.push_back((tick + link.delay, *channel, message.clone()));
            }
        }
        let mut messages = link.app.world_mut().resource_mut::<ClientMessages>();
        while link.down.front().is_some_and(|(due, ..)| *due <= tick) {
            if let Some((_, channel, message)) = link.down.pop_front() {
                messages.insert_received(channel, message);
            }
        }
        link.app.update();
        let mut messages = link.app.world_mut().resource_mut::<ClientMessages>();
        // The channel of acknowledgements is reliable: nothing of it is lost.
        link.up.extend(messages.drain_sent().map(|(channel, message)| (tick + link.delay, channel, message)));
        let mut received = server.world_mut().resource_mut::<ServerMessages>();
        while link.up.front().is_some_and(|(due, ..)| *due <= tick) {
            if let Some((_, channel, message)) = link.up.pop_front() {
                received.insert_received(me, channel, message);
            }
        }
    }
    sent
}
