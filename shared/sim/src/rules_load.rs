//! Reading the rules from RON text and saying exactly what is wrong with it. No file is opened here: names and texts come in.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;

use crate::rules::{Act, Area, Behaviour, Gift, Link, ModeKind, PropShape, Rules, Stacking};

/// One thing that is wrong with an asset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {field}: expected {expected}, found {found}")]
pub struct AssetError {
    /// Which file.
    pub file: String,
    /// Where in it, from 1; 0 if it is not from a file.
    pub line: u32,
    /// The path of the field, as `weapons[3].reload_ms`.
    pub field: String,
    /// What may stand there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// The files that make up the rules, without their ending, in the order of the fields of [`Rules`].
pub const FILES: [&str; 10] =
    ["heroes", "weapons", "abilities", "effects", "pickups", "props", "modes", "movement", "body", "combat"];

/// A larger file is not rules but a mistake.
const FILE_BYTES_MAX: usize = 1 << 20;

macro_rules! shipped {
    ($($name:literal),*) => {
        [$((
            concat!("assets/rules/", $name, ".ron"),
            include_str!(concat!("../../../assets/rules/", $name, ".ron")),
        )),*]
    };
}

impl Rules {
    /// Makes rules from the texts of their files. A file is known by its name without directory and ending; the name as
    /// given stands in errors.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of files and lines.
    pub fn from_ron(files: &[(&str, &str)]) -> Result<Self, Vec<AssetError>> {
        let mut errors = Vec::new();
        let mut spans = Vec::new();
        let mut texts: [Option<(&str, &str)>; FILES.len()] = [None; FILES.len()];
        for &(name, text) in files {
            let stem = stem_of(name);
            let whole = |expected: &str, found: &str| AssetError {
                file: name.to_owned(),
                line: 1,
                field: stem.to_owned(),
                expected: expected.to_owned(),
                found: found.to_owned(),
            };
            let Some(at) = FILES.iter().position(|known| *known == stem) else {
                errors.push(whole(&format!("a file named after one of {}", FILES.join(", ")), name));
                continue;
            };
            if texts[at].is_some() {
                errors.push(whole("one file of this name", "two"));
            } else if text.len() > FILE_BYTES_MAX {
                errors.push(whole("at most 1 MiB", &format!("{} bytes", text.len())));
            } else {
                texts[at] = Some((name, text));
            }
        }
        for (at, stem) in FILES.iter().enumerate() {
            match texts[at] {
                Some((name, text)) => spans.push(Spans::scan(name, stem, text)),
                None if errors.is_empty() => errors.push(AssetError {
                    file: format!("assets/rules/{stem}.ron"),
                    line: 0,
                    field: (*stem).to_owned(),
                    expected: "this file".to_owned(),
                    found: "nothing".to_owned(),
                }),
                None => {}
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        fn parse<T: for<'de> Deserialize<'de>>(
            at: usize,
            texts: &[Option<(&str, &str)>],
            spans: &[Spans],
            errors: &mut Vec<AssetError>,
        ) -> Option<T> {
            let (_, text) = texts[at]?;
            let extensions = ron::extensions::Extensions::IMPLICIT_SOME
                | ron::extensions::Extensions::UNWRAP_NEWTYPES
                | ron::extensions::Extensions::UNWRAP_VARIANT_NEWTYPES;
            let options = ron::Options::default().with_default_extension(extensions);
            match options.from_str(text) {
                Ok(value) => Some(value),
                Err(error) => {
                    errors.push(spans[at].explain(&error, text));
                    None
                }
            }
        }
        // Every file is parsed before giving up, so that a designer sees all that is wrong at once.
        let parsed = (
            parse(0, &texts, &spans, &mut errors),
            parse(1, &texts, &spans, &mut errors),
            parse(2, &texts, &spans, &mut errors),
            parse(3, &texts, &spans, &mut errors),
            parse(4, &texts, &spans, &mut errors),
            parse(5, &texts, &spans, &mut errors),
            parse(6, &texts, &spans, &mut errors),
            parse(7, &texts, &spans, &mut errors),
            parse(8, &texts, &spans, &mut errors),
            parse(9, &texts, &spans, &mut errors),
        );
        let (
            Some(heroes),
            Some(weapons),
            Some(abilities),
            Some(effects),
            Some(pickups),
            Some(props),
            Some(modes),
            Some(movement),
            Some(body),
            Some(combat),
        ) = parsed
        else {
            return Err(errors);
        };
        let mut rules = Self { heroes, weapons, abilities, effects, pickups, props, modes, movement, body, combat };
        rules.check().map_err(|mut errors| {
            for error in &mut errors {
                let stem = error.field.split(['.', '[']).next().unwrap_or_default();
                if let Some(span) = FILES.iter().position(|known| *known == stem).map(|at| &spans[at]) {
                    error.file.clone_from(&span.file);
                    error.line = span.line_of(&error.field);
                }
            }
            errors.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
            errors
        })?;
        Ok(rules)
    }

    /// The rules that are shipped in `assets/rules`, as they were when this was compiled: for tests, and for tools that run
    /// where there is no such directory.
    ///
    /// # Panics
    /// If they are wrong, which the tests of this crate would have said.
    pub fn shipped() -> Self {
        let files = shipped!(
            "heroes",
            "weapons",
            "abilities",
            "effects",
            "pickups",
            "props",
            "modes",
            "movement",
            "body",
            "combat"
        );
        match Self::from_ron(&files) {
            Ok(rules) => rules,
            Err(errors) => panic!("the shipped rules are wrong: {}", errors[0]),
        }
    }

    /// Checks ranges, looks up every reference and finds duplicates. Call it after changing rules in code, since references
    /// are followed by number.
    ///
    /// # Errors
    /// Everything that is wrong, without files and lines.
    pub fn check(&mut self) -> Result<(), Vec<AssetError>> {
        let mut errors = Vec::new();
        let schema = Self::json_schema();
        match serde_json::to_value(&*self) {
            Ok(value) => walk_schema(&schema, &schema, &value, &mut String::new(), &mut errors),
            Err(error) => errors.push(wrong("rules", "values that can be written", &error.to_string())),
        }
        self.check_names(&mut errors);
        self.check_links(&mut errors);
        self.check_relations(&mut errors);
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// BLAKE3 of the rules in canonical bytes. Equal hashes play alike; comments and layout of files do not matter.
    pub fn hash(&self) -> [u8; 32] {
        let config = bincode::config::standard();
        // Only a custom Serialize can fail to encode, and there is none that does.
        let bytes = bincode::serde::encode_to_vec(self, config).unwrap_or_default();
        *blake3::hash(&bytes).as_bytes()
    }

    /// The JSON schema of all rules; each property is one file.
    pub fn json_schema() -> Json {
        schemars::schema_for!(Rules).to_value()
    }

    /// The JSON schema of one file, for editors; `None` if there is no such file.
    pub fn file_schema(stem: &str) -> Option<Json> {
        let whole = Self::json_schema();
        let mut schema = whole.get("properties")?.get(stem)?.clone();
        let object = schema.as_object_mut()?;
        object.insert("$schema".to_owned(), whole.get("$schema")?.clone());
        object.insert("$defs".to_owned(), whole.get("$defs")?.clone());
        Some(schema)
    }

    fn check_names(&self, errors: &mut Vec<AssetError>) {
        fn unique<'a>(list: &str, names: impl Iterator<Item = &'a String>, errors: &mut Vec<AssetError>) {
            let mut seen = std::collections::BTreeMap::new();
            for (at, name) in names.enumerate() {
                let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
                if !name.chars().all(legal) {
                    errors.push(wrong(&format!("{list}[{at}].name"), "small letters, digits and _", &quoted(name)));
                }
                if let Some(first) = seen.insert(name.clone(), at) {
                    let expected = format!("a name that {list}[{first}] does not have");
                    errors.push(wrong(&format!("{list}[{at}].name"), &expected, &quoted(name)));
                }
            }
        }
        unique("heroes", self.heroes.iter().map(|item| &item.name), errors);
        unique("weapons", self.weapons.iter().map(|item| &item.name), errors);
        unique("abilities", self.abilities.iter().map(|item| &item.name), errors);
        unique("effects", self.effects.iter().map(|item| &item.name), errors);
        unique("pickups", self.pickups.iter().map(|item| &item.name), errors);
        unique("props", self.props.iter().map(|item| &item.name), errors);
        unique("modes", self.modes.iter().map(|item| &item.name), errors);
    }

    fn check_links(&mut self, errors: &mut Vec<AssetError>) {
        fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
            names.cloned().collect()
        }
        let weapons = names(self.weapons.iter().map(|item| &item.name));
        let abilities = names(self.abilities.iter().map(|item| &item.name));
        let effects = names(self.effects.iter().map(|item| &item.name));
        let pickups = names(self.pickups.iter().map(|item| &item.name));
        let mut look_up = |link: &mut Link, field: String, list: &str, known: &[String]| match known
            .iter()
            .position(|name| *name == link.name)
            .and_then(|at| u8::try_from(at).ok())
        {
            Some(at) => link.at = at,
            None => errors.push(wrong(&field, &format!("a name in {list}"), &quoted(&link.name))),
        };
        for (at, hero) in self.heroes.iter_mut().enumerate() {
            for (n, link) in hero.weapons.iter_mut().enumerate() {
                look_up(link, format!("heroes[{at}].weapons[{n}]"), "weapons", &weapons);
            }
            for (n, link) in hero.abilities.iter_mut().enumerate() {
                look_up(link, format!("heroes[{at}].abilities[{n}]"), "abilities", &abilities);
            }
        }
        for (at, weapon) in self.weapons.iter_mut().enumerate() {
            for (n, link) in weapon.effects.iter_mut().enumerate() {
                look_up(link, format!("weapons[{at}].effects[{n}]"), "effects", &effects);
            }
        }
        for (at, ability) in self.abilities.iter_mut().enumerate() {
            for (n, link) in ability.effects.iter_mut().enumerate() {
                look_up(link, format!("abilities[{at}].effects[{n}]"), "effects", &effects);
            }
            match &mut ability.act {
                Act::Area(Area { effect, .. }) => {
                    look_up(effect, format!("abilities[{at}].act.effect"), "effects", &effects);
                }
                Act::Throw(throw) => {
                    if let Some(area) = &mut throw.area {
                        look_up(&mut area.effect, format!("abilities[{at}].act.area.effect"), "effects", &effects);
                    }
                }
                Act::Deploy(deploy) => {
                    look_up(&mut deploy.weapon, format!("abilities[{at}].act.weapon"), "weapons", &weapons);
                }
                _ => {}
            }
        }
        for (at, pickup) in self.pickups.iter_mut().enumerate() {
            if let Gift::Effect(link) = &mut pickup.gift {
                look_up(link, format!("pickups[{at}].gift"), "effects", &effects);
            }
        }
        for (at, loot) in self.combat.loot.iter_mut().enumerate() {
            look_up(&mut loot.pickup, format!("combat.loot[{at}].pickup"), "pickups", &pickups);
        }
    }

    /// What one field demands of another.
    fn check_relations(&self, errors: &mut Vec<AssetError>) {
        let mut demand = |holds: bool, field: String, expected: &str, found: String| {
            if !holds {
                errors.push(wrong(&field, expected, &found));
            }
        };
        for (at, weapon) in self.weapons.iter().enumerate() {
            if let Some(falloff) = weapon.falloff {
                let field = format!("weapons[{at}].falloff.far");
                demand(falloff.far > falloff.near, field, "more than near", falloff.far.to_string());
            }
            if weapon.magazine == 0 {
                let field = format!("weapons[{at}].reserve");
                demand(weapon.reserve == 0, field, "0, since the magazine is endless", weapon.reserve.to_string());
            }
            if let Behaviour::Custom(name) = &weapon.behaviour {
                demand(!name.is_empty(), format!("weapons[{at}].behaviour"), "a name", quoted(name));
            }
        }
        for (at, ability) in self.abilities.iter().enumerate() {
            if let Act::Deploy(deploy) = &ability.act {
                let shoots = self
                    .weapons
                    .get(deploy.weapon.index())
                    .is_some_and(|weapon| matches!(weapon.behaviour, Behaviour::Hitscan(_) | Behaviour::Projectile(_)));
                let field = format!("abilities[{at}].act.weapon");
                demand(shoots, field, "a hitscan or projectile weapon", quoted(&deploy.weapon.name));
            }
            if ability.channel_ms > 0 {
                let goes_on = matches!(ability.act, Act::Area(_) | Act::Gain | Act::Custom(_));
                let field = format!("abilities[{at}].channel_ms");
                demand(goes_on, field, "0 for an act that is done at once", ability.channel_ms.to_string());
            }
        }
        for (at, effect) in self.effects.iter().enumerate() {
            if effect.beat_damage > 0.0 || effect.beat_heal > 0.0 {
                let field = format!("effects[{at}].beat_ms");
                demand(effect.beat_ms > 0, field, "1 to 60000, since a beat hurts or heals", "0".to_owned());
            }
            if let Stacking::Strongest { group, .. } = &effect.stacking {
                demand(!group.is_empty(), format!("effects[{at}].stacking.group"), "a name", quoted(group));
            }
        }
        for (at, prop) in self.props.iter().enumerate() {
            if let PropShape::Box { half } = prop.shape {
                for (axis, half) in half.into_iter().enumerate() {
                    let field = format!("props[{at}].shape.half[{axis}]");
                    demand((0.05..=5.0).contains(&half), field, "0.05 to 5", half.to_string());
                }
            }
            let field = format!("props[{at}].health");
            demand(prop.blast.is_none() || prop.health > 0.0, field, "more than 0, since it can blast", "0".to_owned());
        }
        for (at, mode) in self.modes.iter().enumerate() {
            let field = format!("modes[{at}].rounds_max");
            let found = mode.rounds_max.to_string();
            demand(mode.rounds_max >= mode.rounds_to_win, field, "at least rounds_to_win", found);
            if let ModeKind::Custom(name) = &mode.kind {
                demand(!name.is_empty(), format!("modes[{at}].kind"), "a name", quoted(name));
            }
        }
        let movement = &self.movement;
        let least = movement.radius * 2.0;
        let at_least = format!("at least twice the radius, {least}");
        demand(movement.height >= least, "movement.height".to_owned(), &at_least, movement.height.to_string());
        let crouch = movement.crouch_height;
        demand(crouch >= least, "movement.crouch_height".to_owned(), &at_least, crouch.to_string());
        demand(crouch <= movement.height, "movement.crouch_height".to_owned(), "at most height", crouch.to_string());
        for (at, hitbox) in self.body.hitboxes.iter().enumerate() {
            for (end, point) in [("from", hitbox.from), ("to", hitbox.to)] {
                for (axis, value) in point.into_iter().enumerate() {
                    let field = format!("body.hitboxes[{at}].{end}[{axis}]");
                    demand((-5.0..=5.0).contains(&value), field, "-5 to 5", value.to_string());
                }
            }
        }
    }
}

/// Goes through the derived serialiser.
impl Serialize for Rules {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Self::serialize(self, to)
    }
}

/// Goes through the derived deserialiser and then looks up references, so that rules which exist are rules which are right.
impl<'de> Deserialize<'de> for Rules {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let mut rules = Self::deserialize(from)?;
        rules.check().map_err(|errors| D::Error::custom(&errors[0]))?;
        Ok(rules)
    }
}

fn wrong(field: &str, expected: &str, found: &str) -> AssetError {
    AssetError {
        file: "rules".to_owned(),
        line: 0,
        field: field.to_owned(),
        expected: expected.to_owned(),
        found: found.to_owned(),
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn stem_of(name: &str) -> &str {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    file.strip_suffix(".ron").unwrap_or(file)
}

/// Holds a value against the part of JSON schema that the rules use: references, options, enums, ranges and lengths.
fn walk_schema(root: &Json, schema: &Json, value: &Json, path: &mut String, errors: &mut Vec<AssetError>) {
    if let Some(name) = schema.get("$ref").and_then(Json::as_str).and_then(|at| at.strip_prefix("#/$defs/")) {
        if let Some(target) = root.get("$defs").and_then(|defs| defs.get(name)) {
            walk_schema(root, target, value, path, errors);
        }
        return;
    }
    if let Some(choices) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
        if value.is_null() {
            return;
        }
        for choice in choices {
            let variant = choice.get("required").and_then(|required| required.get(0)).and_then(Json::as_str);
            let is_option = choice.get("$ref").is_some();
            if is_option {
                walk_schema(root, choice, value, path, errors);
            } else if let Some(inner) = variant.and_then(|name| value.get(name)) {
                // The variant's name is no part of the path: nobody writes it as a field.
                let schema = variant.and_then(|name| choice.get("properties")?.get(name));
                if let Some(schema) = schema {
                    walk_schema(root, schema, inner, path, errors);
                }
            }
        }
        return;
    }
    let len = path.len();
    match value {
        Json::Object(fields) => {
            for (name, inner) in fields {
                if let Some(schema) = schema.get("properties").and_then(|properties| properties.get(name)) {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                    walk_schema(root, schema, inner, path, errors);
                    path.truncate(len);
                }
            }
        }
        Json::Array(items) => {
            limit(schema, "minItems", "maxItems", items.len() as f64, "entries", path, errors);
            for (at, inner) in items.iter().enumerate() {
                if let Some(schema) = schema.get("items") {
                    path.push_str(&format!("[{at}]"));
                    walk_schema(root, schema, inner, path, errors);
                    path.truncate(len);
                }
            }
        }
        Json::String(text) => limit(schema, "minLength", "maxLength", text.len() as f64, "letters", path, errors),
        Json::Number(number) => {
            limit(schema, "minimum", "maximum", number.as_f64().unwrap_or(f64::NAN), "", path, errors);
        }
        // JSON has no word for infinity and what is not a number: they come as null.
        Json::Null if schema.get("type").and_then(Json::as_str) == Some("number") => {
            errors.push(wrong(path, "a finite number", "one that is not"));
        }
        Json::Null | Json::Bool(_) => {}
    }
}

/// Compares as single precision, since 0.1 in the rules is the nearest single to it.
fn limit(schema: &Json, min: &str, max: &str, value: f64, unit: &str, path: &str, errors: &mut Vec<AssetError>) {
    let bound = |key: &str| schema.get(key).and_then(Json::as_f64);
    let (low, high) = (bound(min), bound(max));
    let narrow = value as f32;
    let holds = low.is_none_or(|low| narrow >= low as f32) && high.is_none_or(|high| narrow <= high as f32);
    if holds {
        return;
    }
    let mut expected = match (low, high) {
        (Some(low), Some(high)) => format!("{low} to {high}"),
        (Some(low), None) => format!("at least {low}"),
        (None, Some(high)) => format!("at most {high}"),
        (None, None) => String::new(),
    };
    if !unit.is_empty() {
        expected = format!("{expected} {unit}");
    }
    errors.push(wrong(path, &expected, &format!("{narrow}")));
}

/// Where each field of a RON text stands.
struct Spans {
    file: String,
    stem: String,
    /// Path, line of its start, first and last byte, in the order of the text.
    fields: Vec<(String, u32, usize, usize)>,
}

impl Spans {
    /// Walks over a text without understanding its values. Broken text gives what was found before it broke.
    fn scan(file: &str, stem: &str, text: &str) -> Self {
        let mut spans = Self { file: file.to_owned(), stem: stem.to_owned(), fields: Vec::new() };
        let mut scanner = Scanner { text: text.as_bytes(), at: 0, line: 1, depth: 0 };
        scanner.value(stem, &mut spans.fields);
        spans
    }

    /// The line of a field, or of the nearest one around it.
    fn line_of(&self, field: &str) -> u32 {
        let mut best = (0, 1);
        for (path, line, ..) in &self.fields {
            let rest = field.strip_prefix(path.as_str());
            let around = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']));
            if around && path.len() > best.0 {
                best = (path.len(), *line);
            }
        }
        best.1
    }

    /// Says what the parser could not read.
    fn explain(&self, error: &ron::error::SpannedError, text: &str) -> AssetError {
        use ron::Error as E;
        let line = error.span.start.line.max(1);
        let start = offset_of(text, line, error.span.start.col);
        let inside = |first: usize, last: usize| first <= start && start < last;
        let around = self.fields.iter().rfind(|field| inside(field.2, field.3));
        let around = around.map_or(self.stem.as_str(), |field| field.0.as_str());
        let (field, expected, found) = match &error.code {
            E::NoSuchStructField { expected, found, .. } => {
                (None, format!("one of the fields {}", expected.join(", ")), quoted(found))
            }
            E::MissingStructField { field, .. } => (Some(*field), "a value".to_owned(), "nothing".to_owned()),
            E::DuplicateStructField { field, .. } => (Some(*field), "it once".to_owned(), "it twice".to_owned()),
            E::NoSuchEnumVariant { expected, found, .. } => {
                (None, format!("one of {}", expected.join(", ")), quoted(found))
            }
            E::InvalidValueForType { expected, found } => (None, expected.clone(), found.clone()),
            E::ExpectedDifferentLength { expected, found } => (None, expected.clone(), found.to_string()),
            other => {
                let message = other.to_string();
                let expected = message.strip_prefix("Expected ").unwrap_or(&message).to_owned();
                let rest: String = text.get(start..).unwrap_or_default().chars().take(24).collect();
                let found = rest.lines().next().unwrap_or_default().trim_end();
                (None, expected, if found.is_empty() { "the end of the line".to_owned() } else { quoted(found) })
            }
        };
        let field = field.map_or_else(|| around.to_owned(), |field| format!("{around}.{field}"));
        AssetError { file: self.file.clone(), line: line as u32, field, expected, found }
    }
}

/// The byte at a line and column, both from 1; columns are characters.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let begin: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let rest = text.get(begin..).unwrap_or_default();
    begin + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
    depth: u32,
}

impl Scanner<'_> {
    /// The parser refuses deeper text as well; this one only must not run out of stack before it.
    const DEPTH_MAX: u32 = 64;

    fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    fn step(&mut self) {
        if self.peek() == b'\n' {
            self.line += 1;
        }
        self.at = (self.at + 1).min(self.text.len());
    }

    fn ended(&self) -> bool {
        self.at >= self.text.len()
    }

    fn starts(&self, with: &[u8]) -> bool {
        self.text[self.at..].starts_with(with)
    }

    fn skip_blank(&mut self) {
        while !self.ended() {
            if self.starts(b"//") {
                while !self.ended() && self.peek() != b'\n' {
                    self.step();
                }
            } else if self.starts(b"/*") {
                while !self.ended() && !self.starts(b"*/") {
                    self.step();
                }
                self.step();
                self.step();
            } else if self.starts(b"#!") {
                while !self.ended() && self.peek() != b']' {
                    self.step();
                }
                self.step();
            } else if self.peek().is_ascii_whitespace() {
                self.step();
            } else {
                break;
            }
        }
    }

    fn word(&mut self) -> (usize, usize) {
        let from = self.at;
        while !self.ended() && (self.peek().is_ascii_alphanumeric() || b"_.+-".contains(&self.peek())) {
            self.step();
        }
        (from, self.at)
    }

    fn string(&mut self) {
        self.step();
        while !self.ended() && self.peek() != b'"' {
            if self.peek() == b'\\' {
                self.step();
            }
            self.step();
        }
        self.step();
    }

    fn value(&mut self, path: &str, fields: &mut Vec<(String, u32, usize, usize)>) {
        // The parser blames the blank before a value too.
        let begin = self.at;
        self.skip_blank();
        if self.depth >= Self::DEPTH_MAX {
            self.at = self.text.len();
            return;
        }
        self.depth += 1;
        let (slot, from) = (fields.len(), self.at);
        fields.push((path.to_owned(), self.line, begin, usize::MAX));
        match self.peek() {
            b'"' => self.string(),
            b'[' => self.list(path, b']', fields),
            b'(' => self.list(path, b')', fields),
            b'{' => self.list(path, b'}', fields),
            _ => {
                self.word();
                let (at, line) = (self.at, self.line);
                self.skip_blank();
                if self.peek() == b'(' {
                    self.list(path, b')', fields);
                } else {
                    (self.at, self.line) = (at, line);
                }
            }
        }
        if self.at == from {
            self.step();
        }
        fields[slot].3 = self.at;
        self.depth -= 1;
    }

    fn list(&mut self, path: &str, close: u8, fields: &mut Vec<(String, u32, usize, usize)>) {
        self.step();
        let mut index = 0;
        loop {
            self.skip_blank();
            if self.ended() {
                return;
            }
            if self.peek() == close {
                self.step();
                return;
            }
            if self.peek() == b',' {
                self.step();
                continue;
            }
            if close == b']' {
                self.value(&format!("{path}[{index}]"), fields);
                index += 1;
                continue;
            }
            let (at, line) = (self.at, self.line);
            let (from, to) = self.word();
            self.skip_blank();
            if to > from && self.peek() == b':' {
                self.step();
                let name = String::from_utf8_lossy(&self.text[from..to]).into_owned();
                self.value(&format!("{path}.{name}"), fields);
            } else {
                // A value without a name: what stands in a variant's brackets is the field itself.
                (self.at, self.line) = (at, line);
                self.value(path, fields);
            }
        }
    }
}
