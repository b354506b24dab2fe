//! `arbiter log`: what an operator does with a log of record. Verify it, look into it, follow it, copy it, bring it back.
//!
//! Nothing here writes to a log but how far its last backup reaches: a repair is a restore into another folder. Exit status: 0 all is well, 1 something is
//! damaged or could not be done.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use arbiter_eventlog::{Copied, Folder, Masters, Reader, Record, Verified, backup, copy, verify};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::stop::Stop;

/// Time between two looks at a log that is followed: shorter than anyone notices, and one small read.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Bytes of records that are read at once.
const READ_BYTES: usize = 1 << 20;

/// Flags of `arbiter log`.
#[derive(Debug, Args)]
pub struct LogArgs {
    /// What to do
    #[command(subcommand)]
    pub command: LogCommand,
    /// File with the keys that wrap the log's own: 64 hexadecimal digits a line, the current one first
    #[arg(long, global = true, value_name = "FILE", env = "ARBITER_LOG_KEY_FILE")]
    pub log_key_file: Option<PathBuf>,
}

/// What can be done with a log.
#[derive(Debug, Subcommand)]
pub enum LogCommand {
    /// Prove every block, the chain, the acknowledged position and the roots; name all that is damaged
    ///
    /// Without the key the records of an encrypted log stay closed, and everything that is stored is proved all the same.
    Verify {
        /// Folder of the log
        folder: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Print records, one JSON object a line, with their bytes in hexadecimal
    Dump {
        /// Folder of the log
        folder: PathBuf,
        /// Position of the first
        #[arg(long, value_name = "N", default_value_t = 0)]
        from: u64,
        /// Records at most
        #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
        count: u64,
    },
    /// Print records as they are acknowledged, until Ctrl-C
    Tail {
        /// Folder of the log
        folder: PathBuf,
        /// Position of the first; left out, what comes from now on
        #[arg(long, value_name = "N")]
        from: Option<u64>,
        /// Stop after so many records
        #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
        count: u64,
    },
    /// Copy a log, which may be in use, into an empty folder
    ///
    /// Everything that was acknowledged when the copy began is in it. It is a log like any other, and opens with the same keys.
    /// How far it reaches is noted in the log's folder (cursor-backup): servers keep what they brought to it until then, so keep
    /// the backup until the next one is there.
    Backup {
        /// Folder of the log
        folder: PathBuf,
        /// Folder to copy to; made if it is missing
        to: PathBuf,
    },
    /// Bring a log back from a backup, into an empty folder
    ///
    /// What was acknowledged after the backup comes from the outboxes of the servers, which keep it.
    Restore {
        /// Folder of the backup
        backup: PathBuf,
        /// Folder of the log; made if it is missing
        to: PathBuf,
    },
}

/// Runs it; only following listens to Ctrl-C.
pub fn run(args: &LogArgs) -> Result<ExitCode> {
    let masters = masters(args.log_key_file.as_deref())?;
    let mut out = io::stdout().lock();
    let done = match &args.command {
        LogCommand::Verify { folder, json } => return verified(folder, masters, *json, &mut out),
        LogCommand::Dump { folder, from, count } => dump(folder, masters, *from, *count, &mut out),
        LogCommand::Tail { folder, from, count } => tail(folder, masters, *from, *count, &Stop::listen()?, &mut out),
        LogCommand::Backup { folder, to } => {
            copied(folder, to, "backed up", &mut out).and_then(|end| noted(folder, end, &mut out))
        }
        LogCommand::Restore { backup, to } => copied(backup, to, "restored", &mut out).map(drop),
    };
    match done {
        // `arbiter log dump | head` is no error.
        Err(error) if error.downcast_ref::<io::Error>().is_some_and(|it| it.kind() == io::ErrorKind::BrokenPipe) => {
            Ok(ExitCode::SUCCESS)
        }
        other => other.map(|()| ExitCode::SUCCESS),
    }
}

pub(crate) fn masters(file: Option<&Path>) -> Result<Option<Masters>> {
    let Some(file) = file else { return Ok(None) };
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read the keys {}", file.display()))?;
    Masters::from_text(&text).map(Some).with_context(|| file.display().to_string())
}

fn at(folder: &Path) -> Result<Folder> {
    Folder::at(folder).with_context(|| format!("cannot open the log {}", folder.display()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn verified(folder: &Path, masters: Option<Masters>, as_json: bool, out: &mut impl Write) -> Result<ExitCode> {
    let found = verify(&at(folder)?, masters).with_context(|| folder.display().to_string())?;
    if as_json {
        writeln!(out, "{}", verified_json(&found))?;
    } else {
        verified_text(&found, out)?;
    }
    Ok(if found.damages.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verified_json(found: &Verified) -> Value {
    let damages: Vec<Value> = found
        .damages
        .iter()
        .map(|damage| {
            json!({
                "file": damage.file, "offset": damage.offset, "block": damage.block, "position": damage.position,
                "fault": damage.fault.to_string(),
            })
        })
        .collect();
    json!({
        "segments": found.segments, "blocks": found.blocks, "records": found.records, "bytes": found.bytes,
        "start": found.start, "end": found.end, "acknowledged": found.acknowledged, "chain": hex(&found.chain),
        "opened": found.opened, "torn": found.torn, "roots": found.roots, "damages": damages,
    })
}

fn verified_text(found: &Verified, out: &mut impl Write) -> Result<()> {
    writeln!(
        out,
        "{} records in {} blocks and {} segments, positions {} to {}, acknowledged to {}",
        found.records, found.blocks, found.segments, found.start, found.end, found.acknowledged
    )?;
    if found.roots > 0 {
        writeln!(out, "{} signed roots of segments that were dropped", found.roots)?;
    }
    if !found.opened {
        writeln!(
            out,
            "the log is encrypted and no key was given: records were not opened, all that is stored was proved"
        )?;
    }
    if found.torn {
        writeln!(
            out,
            "an unfinished commit stands at the end; nobody was told of it, and the next writer cuts it off"
        )?;
    }
    for damage in &found.damages {
        writeln!(out, "damaged: {damage}")?;
    }
    match found.damages.is_empty() {
        true => writeln!(out, "chain {}: intact", hex(&found.chain))?,
        false => writeln!(out, "put the named files back from a copy, or `arbiter log restore` a backup")?,
    }
    Ok(())
}

fn print(records: &[Record], left: &mut u64, out: &mut impl Write) -> io::Result<()> {
    for record in records {
        if *left == 0 {
            break;
        }
        *left -= 1;
        let line = json!({
            "position": record.position, "id": format!("{:032x}", record.id), "bytes": record.data.len(),
            "data": hex(&record.data),
        });
        writeln!(out, "{line}")?;
    }
    out.flush()
}

pub(crate) fn reader(folder: &Path, masters: Option<Masters>) -> Result<Reader<Folder>> {
    Reader::open(at(folder)?, masters).with_context(|| folder.display().to_string())
}

/// Prints what is there from a position on; returns the position behind it.
fn print_from(reader: &Reader<Folder>, from: u64, left: &mut u64, out: &mut impl Write) -> Result<u64> {
    let (mut next, mut records) = (from.max(reader.start()), Vec::new());
    while next < reader.end() && *left > 0 {
        records.clear();
        reader.read(next, READ_BYTES, &mut records)?;
        let Some(last) = records.last() else { bail!("the log holds nothing at {next}, where it should") };
        next = last.position + 1;
        print(&records, left, out)?;
    }
    Ok(next)
}

fn dump(folder: &Path, masters: Option<Masters>, from: u64, mut left: u64, out: &mut impl Write) -> Result<()> {
    print_from(&reader(folder, masters)?, from, &mut left, out).map(drop)
}

fn tail(
    folder: &Path,
    masters: Option<Masters>,
    from: Option<u64>,
    mut left: u64,
    stop: &Stop,
    out: &mut impl Write,
) -> Result<()> {
    let mut reader = reader(folder, masters)?;
    let mut next = from.unwrap_or_else(|| reader.end());
    loop {
        if next < reader.end() {
            next = print_from(&reader, next, &mut left, out)?;
        }
        if left == 0 || stop.asked() {
            return Ok(());
        }
        stop.wait(LOOK_EVERY);
        reader.refresh()?;
    }
}

/// Returns the position behind the last record that was copied.
fn copied(from: &Path, to: &Path, what: &str, out: &mut impl Write) -> Result<u64> {
    let began = Instant::now();
    let target = Folder::make(to).with_context(|| format!("cannot make the folder {}", to.display()))?;
    let Copied { segments, bytes, start, end, chain } =
        copy(&at(from)?, &target).with_context(|| format!("{} to {}", from.display(), to.display()))?;
    let seconds = began.elapsed().as_secs_f64();
    writeln!(out, "{what} positions {start} to {end}: {segments} segments, {bytes} B, in {seconds:.3} s")?;
    writeln!(out, "chain {}", hex(&chain))?;
    writeln!(out, "what is acknowledged from position {end} on is not in it")?;
    Ok(end)
}

/// Says in the log's folder how far its backup reaches; the backup is there either way.
fn noted(folder: &Path, end: u64, out: &mut impl Write) -> Result<()> {
    if let Err(error) = backup::note(&at(folder)?, end) {
        writeln!(
            out,
            "it could not be noted in {} that there is a backup: {error}; servers keep their events until it is: make the folder \
             writable and back up again",
            folder.display()
        )?;
    }
    Ok(())
}
