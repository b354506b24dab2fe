//! PostgreSQL itself: made in a folder, filled, started on a free port of this machine, stopped when dropped.
//!
//! Its settings are those that help it here and lose nothing: see [`SETTINGS`].

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tokio_postgres::{Client, NoTls};

/// All commits are on disk before they are answered. No replicas are prepared for, checkpoints are rare, memory is ample.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 300
fsync = on
synchronous_commit = on
full_page_writes = on
wal_sync_method = fdatasync
wal_level = minimal
max_wal_senders = 0
wal_buffers = 64MB
min_wal_size = 2GB
max_wal_size = 4GB
checkpoint_timeout = 1h
shared_buffers = 3GB
jit = off
enable_seqscan = off
log_min_messages = error
";

/// How long it may take to start and to stop.
const PATIENCE_S: &str = "300";

const PLAYERS: u64 = 100_000;
const HOUSE_ROWS: u64 = 256;

/// Errors are told to whoever runs the bench.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A running server.
pub struct Server {
    programs: PathBuf,
    data: PathBuf,
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.control(&["-m", "fast", "stop"]);
        if let Err(error) = stopped {
            eprintln!("PostgreSQL does not stop: {error}");
        }
    }
}

impl Server {
    /// Starts a server over a folder, which is made if it is missing.
    pub fn start(folder: &Path) -> Result<Self> {
        let programs = programs()?;
        let data = folder.join("data");
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let server = Self { programs, data, port };
        if !server.data.exists() {
            std::fs::create_dir_all(folder)?;
            if is_root() {
                run(Command::new("chown").arg("postgres").arg(folder))?;
            }
            let initdb = server.programs.join("initdb");
            let arguments = ["--no-instructions", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"];
            run(as_postgres(&initdb).args(arguments).arg(&server.data))?;
            let file = server.data.join("postgresql.conf");
            let text = std::fs::read_to_string(&file)? + SETTINGS;
            std::fs::write(file, text)?;
        }
        // Only what a bench left that was killed can be in the way.
        if server.data.join("postmaster.pid").exists() {
            let _ = server.control(&["-m", "immediate", "stop"]);
        }
        let log = server.data.join("log.txt");
        let options = format!("-p {port}");
        let log = log.to_str().ok_or("a path that is no text")?;
        server.control(&["-l", log, "-o", &options, "start"])?;
        Ok(server)
    }

    fn control(&self, arguments: &[&str]) -> Result<()> {
        let control = self.programs.join("pg_ctl");
        run(as_postgres(&control).arg("-D").arg(&self.data).args(["-w", "-s", "-t", PATIENCE_S]).args(arguments))
    }

    /// A connection with settings of its own.
    pub async fn connect(&self, options: &str) -> Result<Client> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("postgres").dbname("postgres").options(options);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("a connection to PostgreSQL ended: {error}");
            }
        });
        Ok(client)
    }

    /// Makes tables, accounts and keys if they are not there; how many keys there are.
    pub async fn fill(&self, keys: u64) -> Result<i64> {
        let client = self.connect("-c maintenance_work_mem=1GB").await?;
        let there = client.query_one("SELECT to_regclass('whole') IS NOT NULL", &[]).await?.get::<_, bool>(0);
        if !there {
            // In one transaction, so that nothing of it goes through the log.
            let rows = HOUSE_ROWS - 1;
            client
                .batch_execute(&format!(
                    "BEGIN; {schema}
                    INSERT INTO accounts SELECT p * 4, 1::bigint << 40, false FROM generate_series(1, {PLAYERS}) p;
                    INSERT INTO accounts SELECT p * 4 + 1, 0, false FROM generate_series(1, {PLAYERS}) p;
                    INSERT INTO accounts SELECT -2 * h - n, 0, true FROM generate_series(0, {rows}) h, generate_series(1, 2) n;
                    INSERT INTO keys SELECT (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - 3600000
                            + n * 3600000 / {keys}), 12, '0') || '7' || substr(md5(n::text), 1, 3) || '8'
                            || substr(md5(n::text), 4, 15))::uuid,
                        1 + n * 7919 % {PLAYERS}, md5(n::text)::uuid, nextval('numbers')
                        FROM generate_series(1::bigint, {keys}) n;
                    ALTER TABLE keys ADD PRIMARY KEY (key, owner);
                    CREATE TABLE whole ();
                    COMMIT;",
                    schema = include_str!("schema.sql"),
                ))
                .await?;
            client.batch_execute("VACUUM (FREEZE, ANALYZE)").await?;
            client.batch_execute("CHECKPOINT").await?;
        }
        // By its index, which is in memory from then on.
        Ok(client.query_one("SELECT count(*) FROM keys", &[]).await?.get(0))
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if output.success() { Ok(()) } else { Err(format!("{command:?} ended with {output}").into()) }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A program that root may not run.
fn as_postgres(program: &Path) -> Command {
    if !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command.current_dir("/");
    command
}

/// Where initdb is: in the folder that `ARBITER_POSTGRES_BIN` names, or with the newest that Debian installed.
fn programs() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ARBITER_POSTGRES_BIN") {
        return Ok(folder.into());
    }
    let missing =
        "PostgreSQL is not installed: name the folder of initdb in ARBITER_POSTGRES_BIN, or leave it out with --alone";
    let versions = std::fs::read_dir("/usr/lib/postgresql").map_err(|_| missing)?;
    let mut found: Vec<PathBuf> = versions.filter_map(|entry| Some(entry.ok()?.path().join("bin"))).collect();
    found.retain(|folder| folder.join("initdb").exists());
    found.sort();
    found.pop().ok_or_else(|| missing.into())
}
