//! The screen of the demo: score and clock above, the map from above, players, kill feed and costs beside it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Sparkline, Widget};

use super::canvas::{self, colour, team_colour};
use super::model::{FeedLine, PlayerView, ViewModel, for_people};
use super::terrain::{Rgb, Terrain};

/// Narrower than this the map has no room beside the lists, which then go under it.
const SIDE_BY_SIDE_WIDTH_MIN: u16 = 68;
/// From this width on the lists say everything.
const WIDE_WIDTH_MIN: u16 = 100;
const SIDE_WIDTH: u16 = 45;
/// On a terminal of 80 columns this leaves the map 50.
const NARROW_SIDE_WIDTH: u16 = 30;
const COST_HEIGHT: u16 = 8;
/// Without the graph and what can be reckoned from the rest.
const LOW_COST_HEIGHT: u16 = 4;
/// Lower than this the costs are told in short.
const HIGH_SIDE_HEIGHT_MIN: u16 = 28;
const FEED_HEIGHT_MIN: u16 = 5;
const NAME_WIDTH_MIN: usize = 8;

const PAPER: Rgb = [200, 206, 216];
const FAINT: Rgb = [112, 120, 136];
const FRAME: Rgb = [62, 70, 88];
const BRIGHT: Rgb = [245, 247, 250];
const BACK: Rgb = super::terrain::VOID;

/// Draws models; keeps the picture of the map between two frames.
#[derive(Debug, Default)]
pub struct View {
    terrain: Option<Terrain>,
    /// Whether the terminal takes any colour; else the nearest of 256 are used.
    true_colour: bool,
}

impl View {
    /// A view for a terminal with or without 24-bit colour.
    pub fn new(true_colour: bool) -> Self {
        Self { terrain: None, true_colour }
    }

    /// Draws one frame into all of `buffer`.
    pub fn draw(&mut self, model: &ViewModel, buffer: &mut Buffer) {
        let area = buffer.area;
        buffer.set_style(area, Style::new().fg(colour(PAPER)).bg(colour(BACK)));
        let [head, body, foot] =
            Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Length(1)]).areas(area);
        draw_head(model, head, buffer);
        draw_foot(model, foot, buffer);
        if area.width >= SIDE_BY_SIDE_WIDTH_MIN {
            let side_width = if area.width >= WIDE_WIDTH_MIN { SIDE_WIDTH } else { NARROW_SIDE_WIDTH };
            let [map, side] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(side_width)]).areas(body);
            self.draw_map(model, map, buffer);
            let cost_height = if side.height >= HIGH_SIDE_HEIGHT_MIN { COST_HEIGHT } else { LOW_COST_HEIGHT };
            // Ten players fit in any case; more may take half, and the kills have the rest.
            let most = (side.height / 2).max(12).min(side.height.saturating_sub(cost_height + FEED_HEIGHT_MIN));
            let [players, feed, cost] = Layout::vertical([
                Constraint::Length(list_height(model.players.len()).min(most)),
                Constraint::Fill(1),
                Constraint::Length(cost_height),
            ])
            .areas(side);
            draw_players(model, players, buffer);
            draw_feed(model, feed, buffer);
            draw_cost(model, cost, buffer);
        } else {
            let [map, players, feed] = Layout::vertical([
                Constraint::Fill(1),
                Constraint::Length(list_height(model.players.len()).min(body.height / 4)),
                Constraint::Length(FEED_HEIGHT_MIN.min(body.height / 4)),
            ])
            .areas(body);
            self.draw_map(model, map, buffer);
            draw_players(model, players, buffer);
            draw_feed(model, feed, buffer);
        }
        if let Some(result) = &model.result {
            draw_result(result, area, buffer);
        }
        if !self.true_colour {
            for cell in &mut buffer.content {
                cell.fg = nearest_of_256(cell.fg);
                cell.bg = nearest_of_256(cell.bg);
            }
        }
    }

    fn draw_map(&mut self, model: &ViewModel, area: Rect, buffer: &mut Buffer) {
        let block = frame(&for_people(&model.map.name));
        let inner = block.inner(area);
        block.render(area, buffer);
        if inner.is_empty() {
            return;
        }
        let size = [inner.width, inner.height * 2];
        if self.terrain.as_ref().is_none_or(|terrain| terrain.size() != size) {
            self.terrain = Some(Terrain::draw(&model.map, size));
        }
        if let Some(terrain) = &self.terrain {
            canvas::draw(model, terrain, inner, buffer);
        }
    }
}

/// Lines of a list in its frame.
fn list_height(lines: usize) -> u16 {
    u16::try_from(lines).unwrap_or(u16::MAX).saturating_add(2)
}

fn ink(rgb: Rgb) -> Style {
    Style::new().fg(colour(rgb))
}

fn frame(title: &str) -> Block<'static> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(ink(FRAME))
        .title(Span::styled(format!(" {title} "), ink(FAINT)))
}

fn draw_head(model: &ViewModel, area: Rect, buffer: &mut Buffer) {
    let clock = |seconds: f32| format!("{}:{:02}", seconds as u32 / 60, seconds as u32 % 60);
    let bold = |rgb| ink(rgb).add_modifier(Modifier::BOLD);
    let left = Line::from(vec![
        Span::styled(" ARBITER ", Style::new().fg(colour(BACK)).bg(colour(PAPER)).add_modifier(Modifier::BOLD)),
        Span::styled(format!("  {}", for_people(&model.mode)), ink(PAPER)),
    ]);
    Paragraph::new(left).render(area, buffer);
    let mut middle = Vec::new();
    for (i, score) in model.scores.iter().enumerate() {
        if i > 0 {
            middle.push(Span::styled("  :  ", ink(FAINT)));
        }
        let team = team_colour(score.team, 0);
        let (name, points) = (format!("team {} ", score.team), format!("{}", score.points));
        if i % 2 == 0 {
            middle.extend([Span::styled(name, ink(team)), Span::styled(points, bold(team))]);
        } else {
            middle.extend([Span::styled(points, bold(team)), Span::styled(format!(" {}", name.trim()), ink(team))]);
        }
    }
    if model.scores.is_empty()
        && let Some(best) = model.players.iter().max_by_key(|player| (player.kills, std::cmp::Reverse(player.slot)))
        && best.kills > 0
    {
        middle.push(Span::styled(format!("{} leads with {}", best.name, best.kills), bold(player_colour(best))));
    }
    Paragraph::new(Line::from(middle)).alignment(Alignment::Center).render(area, buffer);
    let right = match model.left_s {
        Some(left) => vec![Span::styled(clock(left.ceil()), bold(BRIGHT)), Span::styled(" left ", ink(FAINT))],
        None => vec![Span::styled(clock(model.elapsed_s), bold(BRIGHT)), Span::raw(" ")],
    };
    Paragraph::new(Line::from(right)).alignment(Alignment::Right).render(area, buffer);
}

fn draw_foot(model: &ViewModel, area: Rect, buffer: &mut Buffer) {
    let key = |text: &'static str| Span::styled(text, ink(PAPER));
    let faint = |text: String| Span::styled(text, ink(FAINT));
    if let Some(watched) = &model.watched {
        let keys = [key(" q"), faint(" quit  ".into()), key("n"), faint(" next player  ".into()), key("f")];
        let said = format!(" everybody   {watched}, {} Hz, tick {}", model.tick_rate, model.tick);
        return Paragraph::new(Line::from_iter(keys.into_iter().chain([faint(said)]))).render(area, buffer);
    }
    let line = Line::from(vec![
        key(" q"),
        faint(" quit   ".into()),
        faint(format!(
            "{} players over UDP on this machine, {} Hz, tick {}, {} overruns",
            model.players.len(),
            model.tick_rate,
            model.tick,
            model.cost.overruns,
        )),
    ]);
    Paragraph::new(line).render(area, buffer);
}

fn player_colour(player: &PlayerView) -> Rgb {
    team_colour(player.team, player.slot)
}

fn draw_players(model: &ViewModel, area: Rect, buffer: &mut Buffer) {
    let block = frame("players");
    let inner = block.inner(area);
    block.render(area, buffer);
    let mut players: Vec<&PlayerView> = model.players.iter().collect();
    players.sort_by_key(|player| (player.team, std::cmp::Reverse(player.kills), player.slot));
    if players.len() > usize::from(inner.height) {
        // Not all fit: the best of all teams do.
        players.sort_by_key(|player| (std::cmp::Reverse(player.kills), player.slot));
    }
    // With many players names have a number behind them.
    let name_width = players.iter().map(|player| player.name.len()).max().unwrap_or(0).max(NAME_WIDTH_MIN);
    for (player, y) in players.iter().zip(inner.top()..inner.bottom()) {
        let row = Rect { x: inner.x, y, width: inner.width, height: 1 };
        Paragraph::new(player_line(player, name_width, inner.width)).render(row, buffer);
    }
}

fn player_line(player: &PlayerView, name_width: usize, width: u16) -> Line<'static> {
    const HERO_WIDTH: usize = 10;
    /// Team, health, kills and deaths with the blanks between.
    const REST: usize = 2 + 1 + 1 + 4 + 1 + 5;
    /// A bar shorter than this says less than the number beside it.
    const BAR_WIDTH_MIN: usize = 5;
    let team = player_colour(player);
    let room = usize::from(width).saturating_sub(REST + name_width);
    // The letter on the map tells the hero too.
    let hero_width = if room >= HERO_WIDTH + 1 + BAR_WIDTH_MIN { HERO_WIDTH } else { 0 };
    let hero =
        if hero_width > 0 { format!("{:<HERO_WIDTH$.HERO_WIDTH$} ", for_people(&player.hero)) } else { String::new() };
    let bar_width = room - hero.chars().count();
    let whole = (player.health / player.health_max.max(1.0)).clamp(0.0, 1.0);
    let shade = if !player.alive {
        FRAME
    } else if whole > 0.6 {
        [112, 206, 120]
    } else if whole > 0.3 {
        [240, 196, 84]
    } else {
        [240, 96, 84]
    };
    let (full, rest) = bar(whole, bar_width);
    let name_style = if player.alive { ink(BRIGHT) } else { ink(FAINT) };
    let health = if player.alive { format!("{:>4.0}", player.health.ceil()) } else { "down".to_owned() };
    Line::from(vec![
        Span::styled("▌ ", ink(team)),
        Span::styled(format!("{:<name_width$} ", player.name), name_style),
        Span::styled(hero, ink(FAINT)),
        Span::styled(full, ink(shade)),
        Span::styled(rest, ink(FRAME)),
        Span::styled(format!(" {health}"), if player.alive { ink(PAPER) } else { ink(FAINT) }),
        Span::styled(format!(" {:>2}", player.kills.min(99)), ink(BRIGHT)),
        Span::styled(format!("/{:<2}", player.deaths.min(99)), ink(FAINT)),
    ])
}

/// A bar of eighths of a cell, and what is left of its width.
fn bar(share: f32, width: usize) -> (String, String) {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share * width as f32 * 8.0).round() as usize;
    let (cells, part) = (eighths / 8, EIGHTHS[eighths % 8]);
    let used = cells + usize::from(!part.is_empty());
    ("█".repeat(cells) + part, "·".repeat(width.saturating_sub(used)))
}

fn draw_feed(model: &ViewModel, area: Rect, buffer: &mut Buffer) {
    let block = frame("kills");
    let inner = block.inner(area);
    block.render(area, buffer);
    for (line, y) in model.feed.iter().zip(inner.top()..inner.bottom()) {
        let row = Rect { x: inner.x, y, width: inner.width, height: 1 };
        Paragraph::new(feed_line(line, model.elapsed_s, inner.width)).render(row, buffer);
    }
}

fn feed_line(line: &FeedLine, now_s: f32, width: u16) -> Line<'static> {
    // A kill of the last seconds stands out from older ones.
    const FRESH_S: f32 = 4.0;
    let weight = if now_s - line.at_s < FRESH_S { Modifier::BOLD } else { Modifier::empty() };
    let person = |(name, team): &(String, u8)| {
        let rgb = if *team == 0 { BRIGHT } else { team_colour(*team, 0) };
        Span::styled(name.clone(), ink(rgb).add_modifier(weight))
    };
    let mut spans = Vec::new();
    if width >= NARROW_SIDE_WIDTH {
        spans.push(Span::styled(format!("{:>3}s ", line.at_s as u32), ink(FAINT)));
    }
    match &line.killer {
        Some(killer) if *killer != line.victim => spans.extend([person(killer), Span::styled(" › ", ink(FAINT))]),
        _ => {}
    }
    spans.push(person(&line.victim));
    spans.push(Span::styled(format!("  {}", for_people(&line.cause)), ink(FAINT)));
    if line.headshot {
        spans.push(Span::styled(" head", ink([255, 214, 102])));
    }
    Line::from(spans)
}

fn draw_cost(model: &ViewModel, area: Rect, buffer: &mut Buffer) {
    let block = frame(if model.watched.is_some() { "link" } else { "server" });
    let inner = block.inner(area);
    block.render(area, buffer);
    let cost = &model.cost;
    if model.watched.is_some() {
        let down = Line::styled(format!("{:.0} kbit/s down", cost.down_kbit_s), ink(BRIGHT));
        return Paragraph::new(down).render(inner, buffer);
    }
    let budget_us = 1e6 / f32::from(model.tick_rate.max(1));
    let row = |name: &'static str, value: String| {
        Line::from(vec![Span::styled(format!("{name:<11}"), ink(FAINT)), Span::styled(value, ink(BRIGHT))])
    };
    if area.height < COST_HEIGHT {
        let figures = [
            format!("p50 {}  p99 {}", micros(cost.tick_p50_us), micros(cost.tick_p99_us)),
            format!("{:.0} kbit/s down  {:.0} up", cost.down_kbit_s, cost.up_kbit_s),
        ];
        Paragraph::new(figures.map(|text| Line::styled(text, ink(BRIGHT))).to_vec()).render(inner, buffer);
        return;
    }
    let lines = vec![
        row("tick", format!("p50 {}  p99 {}", micros(cost.tick_p50_us), micros(cost.tick_p99_us))),
        row("", format!("{:.1} % of {:.1} ms at p99", cost.tick_p99_us / budget_us * 100.0, budget_us / 1e3)),
        row("overruns", format!("{}", cost.overruns)),
        row("per client", format!("{:.0} kbit/s down  {:.0} up", cost.down_kbit_s, cost.up_kbit_s)),
        row("recorded", format!("{:.0} KB", cost.recorded_bytes as f32 / 1e3)),
    ];
    let [text, graph] = Layout::vertical([Constraint::Length(5), Constraint::Fill(1)]).areas(inner);
    Paragraph::new(lines).render(text, buffer);
    let shown = usize::from(graph.width).min(cost.tick_history_us.len());
    let skipped = cost.tick_history_us.len() - shown;
    let data: Vec<u64> = cost.tick_history_us.iter().skip(skipped).copied().collect();
    Sparkline::default().data(data).style(ink([94, 140, 190])).render(graph, buffer);
}

fn micros(us: f32) -> String {
    if us >= 1000.0 { format!("{:.1} ms", us / 1e3) } else { format!("{us:.0} µs") }
}

fn draw_result(result: &str, area: Rect, buffer: &mut Buffer) {
    let width = (result.chars().count() as u16 + 8).min(area.width);
    let at = area.centered(Constraint::Length(width), Constraint::Length(3.min(area.height)));
    ratatui::widgets::Clear.render(at, buffer);
    buffer.set_style(at, Style::new().bg(colour([28, 32, 42])));
    let block = Block::bordered().border_type(BorderType::Double).border_style(ink([255, 214, 102]));
    let text = Line::styled(result.to_owned(), ink(BRIGHT).add_modifier(Modifier::BOLD));
    Paragraph::new(text).alignment(Alignment::Center).block(block).render(at, buffer);
}

/// The 6x6x6 cube and the greys of terminals without 24-bit colour.
fn nearest_of_256(of: Color) -> Color {
    let Color::Rgb(r, g, b) = of else { return of };
    let (low, high) = (r.min(g).min(b), r.max(g).max(b));
    if high - low < 14 {
        let grey = (u16::from(r) + u16::from(g) + u16::from(b)) / 3;
        // Greys 232 to 255 go from 8 to 238 in steps of 10.
        return Color::Indexed(232 + (grey.saturating_sub(3) / 10).min(23) as u8);
    }
    let step = |v: u8| {
        if v < 48 {
            0
        } else if v < 115 {
            1
        } else {
            (v - 35) / 40
        }
    };
    Color::Indexed(16 + 36 * step(r) + 6 * step(g) + step(b))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arbiter_sim::Map;
    use arbiter_sim::map::{Shape, Solid, Volume};
    use glam::{Quat, Vec3};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::demo::model::{Burst, Mark, MarkKind, PointView, Score, Shot, callsign};

    fn box_at(position: Vec3, half: Vec3) -> Solid {
        Solid { name: "box".into(), shape: Shape::Box { half }, position, rotation: Quat::IDENTITY }
    }

    fn map() -> Map {
        Map {
            name: "yard".into(),
            hash: [0; 32],
            bounds: Volume { centre: Vec3::ZERO, half: Vec3::new(30.0, 12.0, 16.0) },
            solids: vec![
                box_at(Vec3::new(0.0, -0.5, 0.0), Vec3::new(30.0, 0.5, 16.0)),
                box_at(Vec3::new(8.0, 1.5, 3.0), Vec3::new(4.0, 1.5, 2.0)),
                box_at(Vec3::new(-10.0, 1.0, -5.0), Vec3::new(2.0, 1.0, 6.0)),
            ],
            spawns: vec![],
            pickups: vec![],
            points: vec![],
            platforms: vec![],
            props: vec![],
            doors: vec![],
            triggers: vec![],
            kill_volumes: vec![],
            waypoints: vec![],
        }
    }

    fn player(slot: u16) -> PlayerView {
        PlayerView {
            slot,
            name: callsign(slot),
            hero: ["ranger", "brute", "medic", "engineer"][usize::from(slot) % 4].into(),
            team: (slot % 2) as u8 + 1,
            at: [f32::from(slot) * 5.0 - 22.0, f32::from(slot % 3) * 6.0 - 6.0],
            yaw: f32::from(slot),
            health: 100.0 - f32::from(slot) * 10.0,
            health_max: 100.0,
            alive: slot != 4,
            kills: u32::from(slot),
            deaths: 1,
        }
    }

    fn model() -> ViewModel {
        let mut model = ViewModel::new(Arc::new(map()), "team_deathmatch".into(), 60);
        model.elapsed_s = 12.0;
        model.left_s = Some(48.0);
        model.players = (0..10).map(player).collect();
        model.scores = vec![Score { team: 1, points: 12 }, Score { team: 2, points: 9 }];
        model.points = vec![PointView { at: [0.0, 0.0], half: [4.0, 3.0], team: 1 }];
        model.marks = vec![Mark { kind: MarkKind::Prop, team: 0, at: [5.0, -5.0] }];
        model.shots = vec![Shot { from: [-20.0, 0.0], to: [20.0, 5.0], team: 1, age: 0.2 }];
        model.bursts = vec![Burst { at: [12.0, -6.0], radius: 4.0, age: 0.3 }];
        model.feed.push_front(FeedLine {
            at_s: 11.0,
            killer: Some((callsign(1), 2)),
            victim: (callsign(4), 1),
            cause: "long_rifle".into(),
            headshot: true,
        });
        model
    }

    fn drawn(model: &ViewModel, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend");
        let mut view = View::new(true);
        terminal.draw(|frame| view.draw(model, frame.buffer_mut())).expect("a test backend");
        terminal.backend().to_string()
    }

    #[test]
    fn a_wide_screen_shows_score_clock_players_feed_and_costs() {
        let screen = drawn(&model(), 140, 42);
        for part in [
            "team 1 12",
            "9 team 2",
            "0:48",
            "Alfa",
            "Juliett",
            "Bravo › Echo",
            "long rifle head",
            "p50",
            "overruns",
            "kbit/s",
        ] {
            assert!(screen.contains(part), "{part} is missing in\n{screen}");
        }
    }

    #[test]
    fn a_spectators_screen_says_whom_it_shows_and_nothing_of_what_it_costs_the_server() {
        let mut model = model();
        model.watched = Some("watching Echo, 10.0 s ago".into());
        let screen = drawn(&model, 140, 42);
        for part in ["watching Echo, 10.0 s ago", "next player", "everybody", "kbit/s down"] {
            assert!(screen.contains(part), "{part} is missing in\n{screen}");
        }
        assert!(!screen.contains("overruns") && !screen.contains("p50"), "{screen}");
    }

    #[test]
    fn a_plain_terminal_has_the_map_beside_all_ten_players_the_last_kills_and_the_costs() {
        let mut model = model();
        model.cost.tick_p50_us = 470.0;
        let screen = drawn(&model, 80, 24);
        let map_rows = screen.lines().filter(|line| line.contains('▀')).count();
        assert!(map_rows >= 18, "{map_rows} rows of map in\n{screen}");
        for part in ["Alfa", "Juliett", "Bravo › Echo", "p50 470 µs", "kbit/s", "down", "0/1"] {
            assert!(screen.contains(part), "{part} is missing in\n{screen}");
        }
    }

    #[test]
    fn every_living_player_stands_on_the_map_with_the_letter_of_their_hero() {
        let screen = drawn(&model(), 140, 42);
        let map: String = screen.lines().map(|line| line.chars().take(95).collect::<String>()).collect();
        assert!(map.contains('B') && map.contains('M') && map.contains('E') && map.contains('×'));
    }

    #[test]
    fn no_size_of_terminal_makes_it_fail() {
        for (width, height) in [(1, 1), (20, 5), (80, 24), (91, 10), (92, 6), (300, 100)] {
            let mut model = model();
            drawn(&model, width, height);
            model.result = Some("team 1 wins".into());
            drawn(&model, width, height);
        }
    }

    #[test]
    fn a_thousand_players_are_dots_and_the_best_are_listed() {
        let mut model = model();
        model.players = (0..1000).map(player).collect();
        let screen = drawn(&model, 140, 42);
        assert!(screen.contains("Lima 39"), "the player with most kills is listed first in\n{screen}");
    }

    #[test]
    fn a_terminal_of_256_colours_gets_no_others() {
        let mut terminal = Terminal::new(TestBackend::new(120, 40)).expect("a test backend");
        let mut view = View::new(false);
        let model = model();
        terminal.draw(|frame| view.draw(&model, frame.buffer_mut())).expect("a test backend");
        let cells = terminal.backend().buffer().content();
        assert!(cells.iter().all(|cell| !matches!(cell.fg, Color::Rgb(..)) && !matches!(cell.bg, Color::Rgb(..))));
    }
}
