//! Getting out of harm's way: away from where something is about to burst, out of harmful areas, and never over an edge.

use glam::Vec3;

use crate::bots::senses::Sight;
use crate::view::{PlayerView, ThingView, WorldView};

/// Moments ahead, in seconds, at which it is looked where something that flies will be.
const AHEAD_S: [f32; 4] = [0.0, 0.2, 0.45, 0.75];
/// Nobody wants to stand at the very edge of a burst: metres.
const MARGIN: f32 = 0.8;
/// Metres ahead at which there must be ground.
const LOOK_AHEAD: f32 = 1.1;
/// A drop of more than this many metres is not stepped into for the sake of a fight.
const DROP_MAX: f32 = 2.5;

/// The direction to walk in, with what flies and lies around taken into account. Who holds a point stays on it for all but
/// a burst.
pub(super) fn away(view: &WorldView, me: &PlayerView, direction: Vec3, holds_point: bool) -> Vec3 {
    let middle = me.middle();
    let mut push = Vec3::ZERO;
    for flying in view.projectiles.iter().filter(|thing| thing.harms && thing.reach > 0.0 && view.hostile_thing(thing))
    {
        push += push_from(nearest_ahead(flying, middle), flying.reach + MARGIN, middle) * 1.6;
    }
    if !holds_point {
        for area in view.areas.iter().filter(|thing| thing.harms && view.hostile_thing(thing)) {
            push += push_from(area.position, area.reach + MARGIN, middle);
        }
    }
    if push == Vec3::ZERO { direction } else { (direction * 0.5 + push).normalize_or(direction) }
}

/// Where something that flies comes nearest to `to` in the next moments.
fn nearest_ahead(flying: &ThingView, to: Vec3) -> Vec3 {
    let at = |seconds: f32| flying.position + flying.velocity * seconds;
    let apart = |place: &Vec3| place.distance_squared(to);
    AHEAD_S.map(at).into_iter().min_by(|a, b| apart(a).total_cmp(&apart(b))).unwrap_or(flying.position)
}

/// Away from a place on the ground, the more the nearer: length 0 from `reach` on, up to 1.
fn push_from(place: Vec3, reach: f32, middle: Vec3) -> Vec3 {
    let apart = middle - place;
    let distance = apart.length();
    if distance >= reach {
        return Vec3::ZERO;
    }
    // Right on it any way is as good as the other.
    apart.with_y(0.0).normalize_or(Vec3::X) * (1.0 - 0.5 * distance / reach)
}

/// Whether one can step that way without falling: those in the air are past deciding.
pub(super) fn is_footing(sight: &dyn Sight, me: &PlayerView, direction: Vec3) -> bool {
    if !me.grounded || direction == Vec3::ZERO {
        return true;
    }
    let ahead = me.position + direction * LOOK_AHEAD;
    !sight.clear(ahead + Vec3::Y * 0.6, ahead - Vec3::Y * DROP_MAX)
}

#[cfg(test)]
mod tests {
    use arbiter_schema::StableId;

    use super::*;

    fn me(position: Vec3) -> PlayerView {
        PlayerView {
            id: StableId(1),
            slot: Some(0),
            team: 1,
            hero: 0,
            position,
            velocity: Vec3::ZERO,
            eye: 1.65,
            yaw: 0.0,
            pitch: 0.0,
            health: 100.0,
            health_max: 100.0,
            alive: true,
            crouching: false,
            grounded: true,
            weapon: 0,
        }
    }

    fn thing(owner: u16, team: u8, position: Vec3, velocity: Vec3) -> ThingView {
        ThingView {
            id: StableId(9),
            kind: 0,
            team,
            owner: Some(owner),
            position,
            velocity,
            height: 0.0,
            reach: 4.0,
            harms: true,
            health: 0.0,
        }
    }

    /// Ground at height 0, west of x = 0 only.
    struct Cliff;

    impl Sight for Cliff {
        fn clear(&self, from: Vec3, to: Vec3) -> bool {
            from.x > 0.0 || from.y.signum() == to.y.signum()
        }
    }

    #[test]
    fn nobody_dances_over_an_edge() {
        let edge = me(Vec3::new(-0.5, 0.0, 0.0));
        assert!(!is_footing(&Cliff, &edge, Vec3::X));
        assert!(is_footing(&Cliff, &edge, -Vec3::X));
        let flying = PlayerView { grounded: false, ..edge };
        assert!(is_footing(&Cliff, &flying, Vec3::X), "it is too late for that");
    }

    #[test]
    fn a_grenade_that_comes_is_left_and_one_that_flies_past_is_not() {
        let me = me(Vec3::ZERO);
        let comes = thing(1, 2, Vec3::new(-9.0, 1.5, 0.0), Vec3::new(15.0, 0.0, 0.0));
        let goes = thing(1, 2, Vec3::new(-9.0, 1.5, 0.0), Vec3::new(-15.0, 0.0, 0.0));
        let view = |flying| WorldView { me: Some(me), projectiles: vec![flying], ..WorldView::default() };
        let walk = Vec3::new(-1.0, 0.0, 0.0);
        assert_eq!(away(&view(goes), &me, walk, false), walk);
        assert!(away(&view(comes), &me, Vec3::ZERO, false).length() > 0.9, "it does not stand there");
    }

    #[test]
    fn a_harmful_area_is_left_by_all_but_those_who_hold_a_point() {
        let me = me(Vec3::new(1.0, 0.0, 0.0));
        let view = |owner, team| WorldView {
            me: Some(me),
            areas: vec![thing(owner, team, Vec3::ZERO, Vec3::ZERO)],
            ..WorldView::default()
        };
        assert!(away(&view(1, 2), &me, Vec3::ZERO, false).x > 0.9);
        assert_eq!(away(&view(1, 2), &me, Vec3::ZERO, true), Vec3::ZERO);
        assert_eq!(away(&view(2, 1), &me, Vec3::ZERO, false), Vec3::ZERO, "a friend's area is none to run from");
    }

    #[test]
    fn without_teams_only_what_is_ones_own_is_harmless() {
        let alone = PlayerView { team: 0, ..me(Vec3::new(1.0, 0.0, 0.0)) };
        let view = |owner| WorldView {
            me: Some(alone),
            areas: vec![thing(owner, 0, Vec3::ZERO, Vec3::ZERO)],
            ..WorldView::default()
        };
        assert_eq!(away(&view(0), &alone, Vec3::ZERO, false), Vec3::ZERO);
        assert!(away(&view(3), &alone, Vec3::ZERO, false).x > 0.9);
    }
}
