//! Rules and maps: built into the program, or from a folder laid out like `assets/` (`rules/*.ron`, `maps/*.glb`).
//!
//! A folder replaces what it has: with `rules/` in it all rules come from there, and each map that it lacks is the built-in
//! one. `arbiter assets check` says everything that is wrong with a folder; `arbiter assets schema` tells editors what may be
//! written.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use arbiter_sim::Map;
use arbiter_sim::assets::map::MapError;
use arbiter_sim::rules::{MatchSettings, Rules};
use arbiter_sim::rules_load::AssetError;

/// Maps that are built in.
const MAPS: [(&str, &[u8]); 2] = [
    ("arena", include_bytes!("../../assets/maps/arena.glb")),
    ("field", include_bytes!("../../assets/maps/field.glb")),
];

/// Where rules and maps come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assets {
    folder: Option<PathBuf>,
}

/// Everything that is wrong with assets, a line each.
#[derive(Debug)]
pub struct AssetErrors(pub Vec<AssetError>);

impl fmt::Display for AssetErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for AssetErrors {}

impl Assets {
    /// What is built in.
    pub fn embedded() -> Self {
        Self::default()
    }

    /// From a folder, if one is given, over what is built in.
    pub fn from_folder(folder: Option<PathBuf>) -> Result<Self> {
        if let Some(folder) = &folder
            && !folder.is_dir()
        {
            bail!("there is no folder {}; --assets wants one with rules/ and maps/ in it", folder.display());
        }
        Ok(Self { folder })
    }

    /// The rules.
    pub fn rules(&self) -> Result<Rules> {
        let Some(folder) = self.folder.as_ref().map(|folder| folder.join("rules")).filter(|folder| folder.is_dir())
        else {
            return Ok(Rules::shipped());
        };
        let texts = texts(&folder)?;
        let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Rules::from_ron(&files).map_err(|errors| AssetErrors(errors).into())
    }

    /// The map with this name.
    pub fn map(&self, name: &str) -> Result<Map> {
        if let Some(path) = self.map_file(name) {
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            return load_map(name, &path.display().to_string(), &bytes);
        }
        let Some((_, bytes)) = MAPS.iter().find(|(known, _)| *known == name) else {
            bail!("there is no map {name:?}; there are {}", self.map_names().join(", "));
        };
        load_map(name, &format!("{name}.glb"), bytes)
    }

    /// The names of all maps, in order.
    pub fn map_names(&self) -> Vec<String> {
        let mut names: Vec<String> = MAPS.iter().map(|(name, _)| (*name).to_owned()).collect();
        if let Some(folder) = &self.folder {
            names.extend(files(&folder.join("maps"), "glb").iter().filter_map(|path| stem(path)));
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    fn map_file(&self, name: &str) -> Option<PathBuf> {
        // A name is a name, not a way out of the folder.
        let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-".contains(c));
        let path = self.folder.as_ref().filter(|_| plain)?.join("maps").join(format!("{name}.glb"));
        path.is_file().then_some(path)
    }

    /// Everything that is wrong: with the rules, with each map, with each map under these rules, and with the catalogue.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut tell = |error: anyhow::Error| wrong.extend(format!("{error:#}").lines().map(str::to_owned));
        let rules = self.rules().map_err(&mut tell).ok().map(std::sync::Arc::new);
        for name in self.map_names() {
            let Some(map) = self.map(&name).map_err(&mut tell).ok().map(std::sync::Arc::new) else { continue };
            let Some(rules) = &rules else { continue };
            // A map need not suit every mode, but must suit one, and must name only what the rules have.
            let made = rules.modes.iter().map(|mode| {
                let settings = MatchSettings { mode: mode.name.clone(), ..MatchSettings::default() };
                arbiter_sim::Simulation::new(std::sync::Arc::clone(rules), std::sync::Arc::clone(&map), 0, settings)
            });
            let mut errors: Vec<_> = made.map(|made| made.err()).collect();
            if errors.iter().all(Option::is_some)
                && let Some(error) = errors.swap_remove(0)
            {
                tell(anyhow::anyhow!("{name}.glb: {error}"));
            }
        }
        if let Err(error) = crate::services::catalogue(self.folder.as_deref()) {
            tell(error);
        }
        wrong
    }
}

fn stem(path: &Path) -> Option<String> {
    Some(path.file_stem()?.to_str()?.to_owned())
}

/// Files of a folder with an ending, by name. No folder has none.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == ending)).collect();
    files.sort();
    files
}

fn texts(folder: &Path) -> Result<Vec<(String, String)>> {
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((path.display().to_string(), text))
    };
    files(folder, "ron").into_iter().map(read).collect()
}

fn load_map(name: &str, file: &str, bytes: &[u8]) -> Result<Map> {
    arbiter_sim::assets::map::load(name, bytes).map_err(|errors| {
        // The loader knows the name only; people look for the file.
        let lines: Vec<String> =
            errors.into_iter().map(|error| MapError { file: file.to_owned(), ..error }.to_string()).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

/// `arbiter assets`.
#[derive(Debug, clap::Subcommand)]
pub enum AssetsCommand {
    /// Say everything that is wrong with rules, maps and the catalogue: file:line: field: expected, found
    Check {
        /// Folder with rules/, maps/ and economy/; left out, what is built in
        folder: Option<PathBuf>,
    },
    /// Print the JSON schema of the rules, for editors
    Schema,
}

/// Runs it. Fails if anything is wrong.
pub fn run(command: AssetsCommand) -> Result<ExitCode> {
    match command {
        AssetsCommand::Check { folder } => {
            let assets = Assets::from_folder(folder)?;
            let wrong = assets.check();
            for line in &wrong {
                eprintln!("{line}");
            }
            match wrong.len() {
                0 => println!("assets are valid: {}", assets.map_names().join(", ")),
                count => eprintln!("{count} wrong"),
            }
            Ok(if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        AssetsCommand::Schema => {
            println!("{}", serde_json::to_string_pretty(&Rules::json_schema())?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_valid() {
        assert_eq!(Assets::embedded().check(), Vec::<String>::new());
    }

    #[test]
    fn a_map_that_is_not_there_names_those_that_are() {
        let error = Assets::embedded().map("moon").expect_err("there is none").to_string();
        assert!(error.contains("arena, field"), "{error}");
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("secret.glb"), b"x").expect("written");
        std::fs::create_dir(folder.path().join("maps")).expect("made");
        let assets = Assets::from_folder(Some(folder.path().to_owned())).expect("a folder");
        let error = assets.map("../secret").expect_err("refused").to_string();
        assert!(error.contains("there is no map"), "{error}");
    }

    #[test]
    fn a_bad_catalogue_is_named_with_file_and_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folder.path().join("economy")).expect("made");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/economy/catalogue.ron");
        let bad = std::fs::read_to_string(shipped).expect("read").replace("places: 200", "places: 0");
        std::fs::write(folder.path().join("economy/catalogue.ron"), bad).expect("written");
        let wrong = Assets::from_folder(Some(folder.path().to_owned())).expect("a folder").check();
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains("catalogue.ron:5: "), "{wrong:?}");
    }

    #[test]
    fn a_bad_field_is_named_with_file_and_line() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let rules = folder.path().join("rules");
        std::fs::create_dir(&rules).expect("made");
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/rules");
        for path in files(&shipped, "ron") {
            std::fs::copy(&path, rules.join(path.file_name().expect("a file"))).expect("copied");
        }
        let movement = rules.join("movement.ron");
        let text = std::fs::read_to_string(&movement).expect("read");
        let line = text.lines().position(|line| line.contains("gravity: ")).expect("a field") + 1;
        let bad = text.replace("gravity: ", "gravity: -");
        std::fs::write(&movement, bad).expect("written");
        let wrong = Assets::from_folder(Some(folder.path().to_owned())).expect("a folder").check();
        assert_eq!(wrong.len(), 1, "{wrong:?}");
        assert!(wrong[0].contains(&format!("movement.ron:{line}: ")) && wrong[0].contains("gravity"), "{wrong:?}");
    }
}
