//! `arbiter services`: runs the services until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::keys::read_or_make_key;
use crate::log_command::masters;
use crate::services::{Role, Services, ServicesSettings, check};
use crate::stop::Stop;

/// Between two looks whether it is to stop.
const LOOK: Duration = Duration::from_secs(3600);

/// Flags of `arbiter services`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ServicesArgs {
    /// IP address and TCP port that is listened on; port 0 takes any. 0.0.0.0 lets other machines in
    #[arg(long, env = "ARBITER_SERVICES_BIND", value_name = "ADDR", default_value = "127.0.0.1:7780")]
    pub bind: SocketAddr,
    /// IP address and TCP port of /healthz, /readyz and /metrics; port 0 takes any. Left out, figures are not served. It wants no
    /// password: keep the port inside of the cluster
    #[arg(long, env = "ARBITER_SERVICES_OPERATE", value_name = "ADDR")]
    pub operate: Option<SocketAddr>,
    /// What this process serves; left out, everything
    #[arg(long, env = "ARBITER_ROLES", value_name = "ROLE", value_enum, value_delimiter = ',')]
    pub roles: Vec<Role>,
    /// Folder of everything that is kept; made if it is missing
    #[arg(long, env = "ARBITER_SERVICES_DIR", value_name = "DIR", default_value = "services-data")]
    pub folder: PathBuf,
    /// Development key of the game servers, as `arbiter server --key-file` makes it; made if it is missing. What services and servers
    /// call each other with is derived from it
    #[arg(long, env = "ARBITER_KEY_FILE", value_name = "FILE", default_value = "arbiter.key")]
    pub key_file: PathBuf,
    /// Folder with economy/catalogue.ron over what is built in
    #[arg(long, env = "ARBITER_ASSETS", value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// Where the process with the role join publishes the keys of access tokens, as http://127.0.0.1:7780/.well-known/jwks.json, if
    /// it is another one
    #[arg(long, env = "ARBITER_JWKS", value_name = "URL")]
    pub jwks: Option<String>,
    /// Lets anybody log in as anybody, by a name: for development, never where strangers can ask
    #[arg(long, env = "ARBITER_DEVELOPMENT_LOGIN")]
    pub development_login: bool,
    /// Serves a provider of payments that takes nobody's money, at /provider/local: for development
    #[arg(long, env = "ARBITER_LOCAL_PAYMENTS")]
    pub local_payments: bool,
    /// Freezes a player's money when a bank takes a payment back
    #[arg(long, env = "ARBITER_FREEZE_ON_CHARGEBACK")]
    pub freeze_on_chargeback: bool,
    /// File with the keys that seal the logs: 64 hexadecimal digits a line, the current one first. Left out, logs are in the clear
    #[arg(long, value_name = "FILE", env = "ARBITER_LOG_KEY_FILE")]
    pub log_key_file: Option<PathBuf>,
}

impl ServicesArgs {
    fn settings(&self) -> Result<ServicesSettings> {
        let all = ServicesSettings::in_folder(self.folder.clone());
        let settings = ServicesSettings {
            bind: self.bind,
            operate: self.operate,
            roles: if self.roles.is_empty() { all.roles.clone() } else { self.roles.clone() },
            assets: self.assets.clone(),
            jwks: self.jwks.clone(),
            development_login: self.development_login,
            local_payments: self.local_payments,
            freeze_on_chargeback: self.freeze_on_chargeback,
            masters: masters(self.log_key_file.as_deref())?,
            ..all
        };
        check(&settings)?;
        Ok(settings)
    }
}

/// Runs services.
pub fn run(args: &ServicesArgs, stop: &Stop) -> Result<ExitCode> {
    let settings = args.settings()?;
    let (key, made) = read_or_make_key(&args.key_file)?;
    let path = args.key_file.display();
    println!("{} {path}", if made { "made the development key" } else { "game servers must have the same" });
    let services = Services::start(&settings, &key)?;
    println!(
        "serving on {}, everything is kept in {}; {}/openapi.json describes it",
        services.url(),
        settings.folder.display(),
        services.url()
    );
    if let Some(address) = services.operate_address() {
        println!("health and metrics on http://{address}/metrics");
    }
    if args.development_login {
        println!("--development-login: anybody can log in as anybody");
    }
    if args.local_payments {
        println!("--local-payments: whoever pays here pays nothing");
    }
    while !stop.asked() {
        stop.wait(LOOK);
    }
    println!("stopping");
    drop(services);
    println!("stopped");
    Ok(ExitCode::SUCCESS)
}
