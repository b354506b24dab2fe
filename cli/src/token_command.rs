//! `arbiter token`: makes connect tokens as a studio's backend would, and shows what is in one.
//!
//! A token holds the keys of its connection. They are never printed, and a file is made readable by its owner only.

use std::fs::OpenOptions;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use arbiter_protocol::{Role, UserData};
use arbiter_transport::netcode::private::PrivateToken;
use arbiter_transport::netcode::token::ADDRESSES_MAX;
use arbiter_transport::netcode::{CONNECT_TOKEN_BYTES, ConnectToken};
use arbiter_transport::{PROTOCOL_ID, mint_token};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::keys::read_key;

/// `arbiter token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a connect token
    ///
    /// It may be used once, until it expires, at the servers that it names, which must have the same key. It holds the keys of
    /// its connection: give it to nobody but its player.
    Make(MakeArgs),
    /// Show what is in a connect token
    ///
    /// Without the key only what its client can read is shown; with it also the sealed part, if it opens. Keys are never shown.
    Inspect(InspectArgs),
}

/// Flags of `arbiter token make`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct MakeArgs {
    /// Where the server is: name or IP address, and UDP port; up to 32 in the order to try, separated by commas
    #[arg(long, value_name = "ADDR", required = true, value_delimiter = ',')]
    pub server: Vec<String>,
    /// Development key of the server, as `arbiter server --key-file` makes it
    #[arg(long, value_name = "FILE", env = "ARBITER_KEY_FILE", default_value = "arbiter.key")]
    pub key_file: PathBuf,
    /// Seconds in which it may be used, 1 to 3,600
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub expires: u32,
    /// The player, the same in all their tokens; 0 is nobody in particular, who cannot come back to a place
    #[arg(long, value_name = "ID", default_value_t = 0)]
    pub player: u64,
    /// Room to be put into, 0 to 65,534; left out, the server chooses
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=65_534))]
    pub room: Option<u16>,
    /// Team to be put into, from 1; 0 leaves it to the client
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub team: u8,
    /// What it may be used for
    #[arg(long, value_name = "ROLE", value_enum, default_value_t = TokenRole::Any)]
    pub role: TokenRole,
    /// Build of the client, for the server's logs: up to 32 bytes
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub build: String,
    /// File for the 2,048 bytes, or - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub out: PathBuf,
    /// Describe the token in JSON on standard error, or on standard output if the token goes to a file
    #[arg(long)]
    pub json: bool,
}

/// What `arbiter token make --role` says that a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenRole {
    /// Playing, or watching where the server lets anybody watch
    Any,
    /// Playing, and not watching
    Player,
    /// Watching, and not playing
    Spectator,
}

impl From<TokenRole> for Role {
    fn from(role: TokenRole) -> Self {
        match role {
            TokenRole::Any => Self::Any,
            TokenRole::Player => Self::Player,
            TokenRole::Spectator => Self::Spectator,
        }
    }
}

/// Flags of `arbiter token inspect`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct InspectArgs {
    /// File with the token, or - for standard input
    pub file: PathBuf,
    /// Key that opens the sealed part
    #[arg(long, value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
pub fn run(command: &TokenCommand) -> Result<ExitCode> {
    match command {
        TokenCommand::Make(args) => make(args),
        TokenCommand::Inspect(args) => inspect(args),
    }
}

fn now() -> Result<Duration> {
    SystemTime::now().duration_since(UNIX_EPOCH).context("the clock of this machine stands before 1970; set it")
}

fn make(args: &MakeArgs) -> Result<ExitCode> {
    let to_file = args.out != Path::new("-");
    if !to_file && std::io::stdout().is_terminal() {
        bail!("a token is 2,048 bytes that no terminal can show; name a file with --out, or pipe them on");
    }
    let MakeArgs { player, room, team, .. } = *args;
    let role = args.role.into();
    let user_data = UserData { player, room, team, build: args.build.clone(), role };
    let user_data = user_data.encode().context("--build")?;
    let (key, now) = (read_key(&args.key_file)?, now()?);
    let lifetime = Duration::from_secs(args.expires.into());
    let bytes = mint_token(&key, &addresses(&args.server)?, &user_data, lifetime, now)?;
    let token = ConnectToken::from_bytes(&bytes[..])?;
    let shown = Shown { opened: Some(token.open_private(&key)?), token };
    let said = if args.json { format!("{}\n", shown.json(now)) } else { shown.text(now) };
    if to_file {
        write_secret(&args.out, &bytes[..])?;
        print!("{said}");
    } else {
        std::io::stdout().write_all(&bytes[..]).context("cannot write the token to standard output")?;
        eprint!("{said}");
    }
    Ok(ExitCode::SUCCESS)
}

fn inspect(args: &InspectArgs) -> Result<ExitCode> {
    // One byte more than a token has, so that a longer file is known for one without being read to its end.
    let mut bytes = Vec::with_capacity(CONNECT_TOKEN_BYTES + 1);
    let (name, most) = (args.file.display(), CONNECT_TOKEN_BYTES as u64 + 1);
    if args.file == Path::new("-") {
        std::io::stdin().take(most).read_to_end(&mut bytes).context("cannot read standard input")?;
    } else {
        let file = std::fs::File::open(&args.file).with_context(|| format!("cannot open {name}"))?;
        file.take(most).read_to_end(&mut bytes).with_context(|| format!("cannot read {name}"))?;
    }
    let token = ConnectToken::from_bytes(&bytes).with_context(|| format!("{name} is no connect token"))?;
    let opened = match &args.key_file {
        Some(path) => Some(token.open_private(&read_key(path)?).with_context(|| name.to_string())?),
        None => None,
    };
    let (shown, now) = (Shown { token, opened }, now()?);
    if args.json {
        println!("{}", shown.json(now));
    } else {
        print!("{}", shown.text(now));
    }
    Ok(ExitCode::SUCCESS)
}

/// The first address of each name, as a token holds them.
fn addresses(servers: &[String]) -> Result<Vec<SocketAddr>> {
    if servers.len() > ADDRESSES_MAX {
        bail!("--server: {} addresses, a token holds at most {ADDRESSES_MAX}", servers.len());
    }
    let resolve = |server: &String| {
        let mut found = server
            .to_socket_addrs()
            .with_context(|| format!("--server: {server:?} is no address; expected for example 127.0.0.1:7777"))?;
        found.next().with_context(|| format!("--server: {server:?} has no address"))
    };
    servers.iter().map(resolve).collect()
}

/// Writes a file that its owner alone can read.
fn write_secret(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let write = || {
        let mut file = options.open(path)?;
        // One that was there before keeps the rights that it had.
        #[cfg(unix)]
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        file.write_all(bytes)
    };
    write().with_context(|| format!("cannot write the token {}", path.display()))
}

/// A token with its sealed part, if a key was given.
struct Shown {
    token: ConnectToken,
    opened: Option<PrivateToken>,
}

impl Shown {
    fn seconds_left(&self, now: Duration) -> u64 {
        self.token.expire_seconds.saturating_sub(now.as_secs())
    }

    fn text(&self, now: Duration) -> String {
        let token = &self.token;
        let ours = if token.protocol_id == PROTOCOL_ID { "" } else { ", which is not this server's" };
        let life = token.expire_seconds - token.create_seconds;
        let left = match self.seconds_left(now) {
            0 => "expired".to_owned(),
            left => format!("{left} s left"),
        };
        let list =
            |addresses: &[SocketAddr]| addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ");
        let mut lines = vec![
            ("protocol id", format!("{:016x}{ours}", token.protocol_id)),
            ("made", format!("{} (seconds since 1970)", token.create_seconds)),
            ("expires", format!("{} after {life} s, {left}", token.expire_seconds)),
            ("timeout", timeout(token.timeout_seconds)),
            ("servers", list(&token.addresses)),
        ];
        match &self.opened {
            None => lines.push(("sealed part", "not opened; --key-file opens it".to_owned())),
            Some(opened) => {
                lines.push(("client id", format!("{:016x}", opened.client_id)));
                if opened.addresses != token.addresses {
                    lines.push(("known inside as", list(&opened.addresses)));
                }
                match UserData::decode(&opened.user_data) {
                    Err(error) => lines.push(("user data", error.to_string())),
                    Ok(UserData { player, room, team, build, role }) => lines.extend([
                        ("player", if player == 0 { "nobody in particular".to_owned() } else { player.to_string() }),
                        ("room", room.map_or("as the server chooses".to_owned(), |room| room.to_string())),
                        ("team", if team == 0 { "as the client wishes".to_owned() } else { team.to_string() }),
                        ("build", if build.is_empty() { "not told".to_owned() } else { build }),
                        ("for", role_for_people(role).to_owned()),
                    ]),
                }
            }
        }
        lines.iter().map(|(name, value)| format!("{name:<16}{value}\n")).collect()
    }

    fn json(&self, now: Duration) -> Value {
        let token = &self.token;
        let list = |addresses: &[SocketAddr]| addresses.iter().map(SocketAddr::to_string).collect::<Vec<_>>();
        let private = self.opened.as_ref().map(|opened| {
            // Numbers of 64 bits are texts: many readers of JSON know only 53.
            let user_data = match UserData::decode(&opened.user_data) {
                Err(error) => json!({ "error": error.to_string() }),
                Ok(UserData { player, room, team, build, role }) => {
                    let role = role.to_string();
                    json!({ "player": player.to_string(), "room": room, "team": team, "build": build, "role": role })
                }
            };
            json!({
                "client_id": format!("{:016x}", opened.client_id),
                "servers": list(&opened.addresses),
                "timeout_seconds": opened.timeout_seconds,
                "user_data": user_data,
            })
        });
        json!({
            "protocol_id": format!("{:016x}", token.protocol_id),
            "create_seconds": token.create_seconds,
            "expire_seconds": token.expire_seconds,
            "seconds_left": self.seconds_left(now),
            "timeout_seconds": token.timeout_seconds,
            "servers": list(&token.addresses),
            "private": private,
        })
    }
}

fn role_for_people(role: Role) -> &'static str {
    match role {
        Role::Any => "playing, or watching",
        Role::Player => "playing",
        Role::Spectator => "watching",
    }
}

fn timeout(seconds: i32) -> String {
    if seconds > 0 { format!("{seconds} s of silence") } else { "never".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::read_or_make_key;

    fn made(folder: &Path, change: impl FnOnce(&mut MakeArgs)) -> (MakeArgs, Result<ExitCode>) {
        let mut args = MakeArgs {
            server: vec!["127.0.0.1:7777".into(), "[::1]:7778".into()],
            key_file: folder.join("arbiter.key"),
            expires: 60,
            player: u64::MAX,
            room: Some(3),
            team: 2,
            role: TokenRole::Spectator,
            build: "1.4.0".into(),
            out: folder.join("player.token"),
            json: false,
        };
        read_or_make_key(&args.key_file).expect("a key");
        change(&mut args);
        let result = make(&args);
        (args, result)
    }

    fn shown(args: &MakeArgs, key: bool) -> Shown {
        let token = ConnectToken::from_bytes(&std::fs::read(&args.out).expect("written")).expect("a token");
        let opened = key.then(|| token.open_private(&read_key(&args.key_file).expect("a key")).expect("it opens"));
        Shown { token, opened }
    }

    #[test]
    fn a_token_says_with_its_key_what_it_was_made_for() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (args, result) = made(folder.path(), |_| ());
        result.expect("made");
        let json = shown(&args, true).json(now().expect("a clock"));
        assert_eq!(json["servers"], json!(["127.0.0.1:7777", "[::1]:7778"]));
        let said =
            json!({ "player": u64::MAX.to_string(), "room": 3, "team": 2, "build": "1.4.0", "role": "spectator" });
        assert_eq!(json["private"]["user_data"], said);
        assert!((55..=60).contains(&json["seconds_left"].as_u64().expect("a number")), "{json}");
        assert!(shown(&args, true).text(Duration::MAX).contains("expired"));
    }

    #[test]
    fn a_token_says_without_its_key_only_what_its_client_can_read() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (args, result) = made(folder.path(), |_| ());
        result.expect("made");
        let shown = shown(&args, false);
        assert_eq!(shown.json(Duration::ZERO)["private"], Value::Null);
        let text = shown.text(Duration::ZERO);
        assert!(text.contains("127.0.0.1:7777, [::1]:7778") && !text.contains("1.4.0"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_a_token() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("player.token"), "an older one").expect("written");
        let (args, result) = made(folder.path(), |_| ());
        result.expect("made");
        assert_eq!(std::fs::metadata(&args.out).expect("there").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_made_is_answered_with_the_flag_that_is_wrong() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = |change: fn(&mut MakeArgs)| {
            let (_, result) = made(folder.path(), change);
            format!("{:#}", result.expect_err("refused"))
        };
        assert!(error(|args| args.build = "b".repeat(33)).starts_with("--build: "));
        assert!(error(|args| args.server = vec!["nowhere".into()]).contains("127.0.0.1:7777"));
        assert!(error(|args| args.server = vec!["127.0.0.1:1".into(); 33]).contains("at most 32"));
    }

    #[test]
    fn a_file_that_is_no_token_is_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("no.token");
        std::fs::write(&file, "hello").expect("written");
        let error = inspect(&InspectArgs { file, key_file: None, json: false }).expect_err("refused");
        let error = format!("{error:#}");
        assert!(error.contains("no.token is no connect token: a connect token has 2048 bytes, found 5"), "{error}");
    }
}
