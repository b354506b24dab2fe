//! The map with everything on it: two pixels in each cell of the terminal by half blocks, letters for players on top.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};

use super::model::{Ground, MarkKind, PlayerView, ViewModel};
use super::terrain::{Projection, Rgb, Terrain, blend};

/// More players than this are drawn as dots, since letters would hide the map.
const LETTERS_MAX: usize = 40;

const SPARK: Rgb = [255, 236, 170];
const FIRE: Rgb = [255, 140, 40];
const WOOD: Rgb = [166, 118, 72];
const LOOT: Rgb = [120, 230, 140];
const STEEL: Rgb = [104, 114, 134];
const DEAD: Rgb = [96, 100, 110];

/// Arrows for eight directions, beginning to the right, clockwise.
const ARROWS: [char; 8] = ['→', '↘', '↓', '↙', '←', '↖', '↑', '↗'];

/// The colour of a team, or of a slot where each plays alone.
pub fn team_colour(team: u8, slot: u16) -> Rgb {
    const TEAMS: [Rgb; 8] = [
        [255, 112, 92],
        [88, 166, 255],
        [255, 200, 72],
        [126, 214, 120],
        [206, 134, 255],
        [255, 150, 206],
        [94, 224, 214],
        [222, 222, 230],
    ];
    match team {
        0 => TEAMS[usize::from(slot) % TEAMS.len()],
        team => TEAMS[usize::from(team - 1) % TEAMS.len()],
    }
}

/// A colour as the terminal takes it.
pub fn colour([r, g, b]: Rgb) -> Color {
    Color::Rgb(r, g, b)
}

/// Pixels that are being drawn on.
struct Layer {
    pixels: Vec<Rgb>,
    size: [u16; 2],
    projection: Projection,
}

impl Layer {
    fn mix(&mut self, x: f32, y: f32, with: Rgb, share: f32) {
        let [w, h] = self.size;
        if x >= 0.0 && y >= 0.0 && x < f32::from(w) && y < f32::from(h) {
            let pixel = &mut self.pixels[y as usize * usize::from(w) + x as usize];
            *pixel = blend(*pixel, with, share);
        }
    }

    fn line(&mut self, from: Ground, to: Ground, with: Rgb, share: f32) {
        let ([ax, ay], [bx, by]) = (self.projection.pixel(from), self.projection.pixel(to));
        let longest = f32::from(self.size[0]) + f32::from(self.size[1]);
        let steps = (bx - ax).abs().max((by - ay).abs()).min(longest).ceil().max(1.0) as u32;
        for step in 0..=steps {
            let along = step as f32 / steps as f32;
            self.mix(ax + (bx - ax) * along, ay + (by - ay) * along, with, share * (0.35 + 0.65 * along));
        }
    }

    /// Calls `f` with each pixel within `radius` metres and its distance as a share of it.
    fn disc(&mut self, at: Ground, radius: f32, f: impl Fn(f32) -> (Rgb, f32)) {
        let [cx, cy] = self.projection.pixel(at);
        // Half a pixel at least, so that nothing is too small to be seen.
        let r = self.projection.length(radius).clamp(0.5, f32::from(self.size[0].max(self.size[1])));
        let reach = r.ceil() as i32;
        for dy in -reach..=reach {
            for dx in -reach..=reach {
                let share = ((dx * dx + dy * dy) as f32).sqrt() / r;
                if share <= 1.0 {
                    let (with, amount) = f(share);
                    self.mix(cx + dx as f32, cy + dy as f32, with, amount);
                }
            }
        }
    }

    fn rectangle(&mut self, at: Ground, half: Ground, with: Rgb) {
        let corner = |sx: f32, sy: f32| self.projection.pixel([at[0] + half[0] * sx, at[1] + half[1] * sy]);
        let ([ax, ay], [bx, by]) = (corner(-1.0, -1.0), corner(1.0, 1.0));
        let (left, right, top, bottom) =
            (ax.min(bx).floor(), ax.max(bx).floor(), ay.min(by).floor(), ay.max(by).floor());
        let (mut x, mut y) = (left, top);
        while y <= bottom {
            let edge = y == top || y == bottom || x == left || x == right;
            self.mix(x, y, with, if edge { 0.75 } else { 0.22 });
            x += 1.0;
            if x > right {
                (x, y) = (left, y + 1.0);
            }
        }
    }
}

/// Draws the match into `area`. `terrain` must have been drawn for twice as many rows as the area has.
pub fn draw(model: &ViewModel, terrain: &Terrain, area: Rect, buffer: &mut Buffer) {
    let size = [area.width, area.height * 2];
    debug_assert_eq!(terrain.size(), size);
    let mut layer = Layer { pixels: terrain.pixels().to_vec(), size, projection: terrain.projection };
    for point in &model.points {
        let with = if point.team == 0 { [190, 196, 206] } else { team_colour(point.team, 0) };
        layer.rectangle(point.at, point.half, with);
    }
    for mark in &model.marks {
        let team = team_colour(mark.team, 0);
        match mark.kind {
            MarkKind::Prop => layer.disc(mark.at, 0.5, |_| (WOOD, 0.9)),
            MarkKind::Platform => layer.disc(mark.at, 1.5, |_| (STEEL, 0.8)),
            MarkKind::Pickup => layer.disc(mark.at, 0.2, |_| (LOOT, 0.9)),
            MarkKind::Area => layer.disc(mark.at, 3.0, |_| (team, 0.25)),
            MarkKind::Shield => layer.disc(mark.at, 1.2, |_| (team, 0.6)),
            MarkKind::Deployable => layer.disc(mark.at, 0.4, |_| (team, 0.9)),
            MarkKind::Projectile => layer.disc(mark.at, 0.1, |_| (SPARK, 1.0)),
        }
    }
    for shot in &model.shots {
        let with = blend(SPARK, team_colour(shot.team, 0), 0.35);
        layer.line(shot.from, shot.to, with, 0.55 * (1.0 - shot.age));
    }
    for burst in &model.bursts {
        let fresh = 1.0 - burst.age;
        layer.disc(burst.at, burst.radius * (0.5 + 0.5 * burst.age), |share| {
            (blend(SPARK, FIRE, share), fresh * (0.9 - 0.5 * share))
        });
    }
    let dots = model.players.len() > LETTERS_MAX;
    if dots {
        for player in model.players.iter().filter(|player| player.alive) {
            let [x, y] = layer.projection.pixel(player.at);
            layer.mix(x, y, team_colour(player.team, player.slot), 1.0);
        }
    }
    for row in 0..area.height {
        for column in 0..area.width {
            let at = |y: u16| layer.pixels[usize::from(y) * usize::from(size[0]) + usize::from(column)];
            let cell = &mut buffer[(area.x + column, area.y + row)];
            cell.set_char('▀').set_fg(colour(at(row * 2))).set_bg(colour(at(row * 2 + 1)));
        }
    }
    if !dots {
        // The dead first, so that nobody alive is hidden by a cross.
        for alive in [false, true] {
            for player in model.players.iter().filter(|player| player.alive == alive) {
                letter(player, &layer, area, buffer);
            }
        }
    }
}

fn letter(player: &PlayerView, layer: &Layer, area: Rect, buffer: &mut Buffer) {
    let [x, y] = layer.projection.pixel(player.at);
    let cell_at = |x: f32, y: f32| {
        let inside = x >= 0.0 && y >= 0.0 && x < f32::from(area.width) && y < f32::from(area.height) * 2.0;
        inside.then(|| (area.x + x as u16, area.y + y as u16 / 2))
    };
    let Some(at) = cell_at(x, y) else { return };
    let under = layer.pixels[(y as usize & !1) * usize::from(area.width) + x as usize];
    let team = team_colour(player.team, player.slot);
    if !player.alive {
        buffer[at].set_char('×').set_fg(colour(DEAD)).set_bg(colour(under));
        return;
    }
    let [right, down] = layer.projection.direction(player.yaw);
    // A cell is one pixel wide and two high.
    let ahead = cell_at(x + right.signum() * if right.abs() > 0.38 { 1.0 } else { 0.0 }, {
        y + down.signum() * if down.abs() > 0.38 { 2.0 } else { 0.0 }
    });
    if let Some(ahead) = ahead.filter(|ahead| *ahead != at) {
        let eighth = (down.atan2(right) / std::f32::consts::FRAC_PI_4).round() as i32;
        let arrow = ARROWS[eighth.rem_euclid(8) as usize];
        let background = buffer[ahead].bg;
        buffer[ahead].set_char(arrow).set_fg(colour(team)).set_bg(background);
        buffer[ahead].modifier = Modifier::BOLD;
    }
    let glyph = player.hero.chars().next().unwrap_or('@').to_ascii_uppercase();
    // Hurt players pale towards the ground.
    let whole = (player.health / player.health_max.max(1.0)).clamp(0.0, 1.0);
    let back = blend(team, under, 0.45 * (1.0 - whole));
    buffer[at].set_char(glyph).set_fg(colour([16, 18, 24])).set_bg(colour(back));
    buffer[at].modifier = Modifier::BOLD;
}
