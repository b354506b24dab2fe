//! `arbiter reconcile`: outboxes, the log of events and the ledger against each other. Exit status: 0 no difference, 1 some, or
//! something could not be read.

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use arbiter_economy::payments::reconcile::Statement;
use arbiter_economy::reconcile::{LISTED_MAX, Report, reconcile};
use arbiter_eventlog::{Folder, Masters, Reader, Record};
use clap::Args;
use serde_json::{Value, json};

use crate::log_command::{masters, reader};
use crate::services::{ECONOMY, EVENTS, catalogue};

/// Between two lines of progress.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// Bytes of events that are read at once.
const READ_BYTES: usize = 1 << 20;

/// Name of the cursor in an outbox behind which the services have acknowledged nothing.
const SHIPPED: &str = "services";

/// Flags of `arbiter reconcile`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct ReconcileArgs {
    /// Folder of the services, as `arbiter services --folder` has it; they may run meanwhile
    #[arg(long, env = "ARBITER_SERVICES_DIR", value_name = "DIR", default_value = "services-data")]
    pub folder: PathBuf,
    /// Folders of game servers' logs of events, whose acknowledged events must all be with the services; separated by commas
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    pub outbox: Vec<PathBuf>,
    /// File with a provider's statement of all payments, as GET /provider/local/statement answers it
    #[arg(long, value_name = "FILE")]
    pub statement: Option<PathBuf>,
    /// Folder with economy/catalogue.ron over what is built in
    #[arg(long, env = "ARBITER_ASSETS", value_name = "DIR")]
    pub assets: Option<PathBuf>,
    /// File with the keys that seal the services' logs
    #[arg(long, value_name = "FILE", env = "ARBITER_LOG_KEY_FILE")]
    pub log_key_file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What an outbox has that the services do not.
#[derive(Debug)]
struct Outbox {
    folder: PathBuf,
    acknowledged: u64,
    waiting: u64,
    /// Positions that were acknowledged, and are missing or other ones with the services.
    lost: Vec<u64>,
}

/// Runs it.
pub fn run(args: &ReconcileArgs) -> Result<ExitCode> {
    let masters = masters(args.log_key_file.as_deref())?;
    let (events_folder, ledger_folder) = (args.folder.join(EVENTS), args.folder.join(ECONOMY));
    // The ledger first: what it has consumed is in the log of events that is opened behind it.
    let ledger = reader(&ledger_folder, masters.clone())?;
    let events = reader(&events_folder, masters)?;
    let catalogue = catalogue(args.assets.as_deref())?;
    let mut told = Instant::now();
    let progress = |done, all| {
        if told.elapsed() >= TELL_EVERY && std::io::stderr().is_terminal() {
            told = Instant::now();
            eprintln!("compared {done} of {all} entries");
        }
    };
    let statement = args.statement.as_deref().map(statement).transpose()?;
    let report = reconcile(&events, &ledger, &catalogue.rewards, statement.as_ref(), progress)?;
    let outboxes = args.outbox.iter().map(|folder| outbox(folder, &events)).collect::<Result<Vec<Outbox>>>()?;
    let lost: usize = outboxes.iter().map(|outbox| outbox.lost.len()).sum();
    if args.json {
        println!("{}", as_json(&report, &outboxes));
    } else {
        print(&report, &outboxes)?;
    }
    Ok(if report.count == 0 && report.payments.is_empty() && lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn statement(file: &Path) -> Result<Statement> {
    let name = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("cannot read the statement {name}"))?;
    Statement::from_json(&bytes).with_context(|| name.to_string())
}

/// Compares what an outbox was told is stored with what is.
fn outbox(folder: &Path, events: &Reader<Folder>) -> Result<Outbox> {
    let own = reader(folder, None::<Masters>)?;
    let cursors = arbiter_eventlog::cursor::all(&Folder::at(folder)?)?;
    let acknowledged = cursors.iter().find(|(name, _)| name == SHIPPED).map_or(0, |(_, position)| *position);
    let stored = ids(events, 0, events.end())?;
    let (mut lost, mut records, mut next) = (Vec::new(), Vec::<Record>::new(), own.start());
    while next < acknowledged {
        records.clear();
        own.read(next, READ_BYTES, &mut records)?;
        for record in records.iter().take_while(|record| record.position < acknowledged) {
            let same = stored.get(&record.id) == Some(&blake3::hash(&record.data));
            if !same {
                lost.push(record.position);
            }
        }
        next = records.last().map_or(acknowledged, |record| record.position + 1);
    }
    Ok(Outbox { folder: folder.to_owned(), acknowledged, waiting: own.end().saturating_sub(acknowledged), lost })
}

/// What stands under each name.
fn ids(log: &Reader<Folder>, from: u64, to: u64) -> Result<std::collections::HashMap<u128, blake3::Hash>> {
    let (mut ids, mut records, mut next) = (std::collections::HashMap::new(), Vec::<Record>::new(), from);
    while next < to {
        records.clear();
        log.read(next, READ_BYTES, &mut records)?;
        let Some(last) = records.last() else { break };
        next = last.position + 1;
        ids.extend(records.iter().map(|record| (record.id, blake3::hash(&record.data))));
    }
    Ok(ids)
}

fn print(report: &Report, outboxes: &[Outbox]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = (|| {
        for outbox in outboxes {
            let Outbox { folder, acknowledged, waiting, lost } = outbox;
            let folder = folder.display();
            writeln!(out, "outbox {folder}: {acknowledged} acknowledged, {waiting} on their way, {} lost", lost.len())?;
            for position in lost.iter().take(LISTED_MAX) {
                writeln!(out, "  position {position} was acknowledged and is not with the services")?;
            }
        }
        writeln!(
            out,
            "events: {}, of which {} results; {} not consumed yet",
            report.events, report.results, report.behind
        )?;
        writeln!(
            out,
            "ledger: {} entries, {} grants given, {} waiting",
            report.entries, report.grants, report.waiting
        )?;
        writeln!(out, "told: {} bookings; {} not told yet", report.told, report.untold)?;
        for difference in &report.differences {
            writeln!(out, "  {difference}")?;
        }
        for difference in &report.payments {
            writeln!(out, "  {difference}")?;
        }
        let rest = report.count - report.differences.len() as u64;
        if rest > 0 {
            writeln!(out, "  and {rest} more")?;
        }
        let count = report.count + report.payments.len() as u64;
        writeln!(out, "{count} differences; the ledger's hash is {}", blake3::Hash::from(report.hash).to_hex())
    })();
    written.context("cannot write the report")
}

fn as_json(report: &Report, outboxes: &[Outbox]) -> Value {
    let outbox = |outbox: &Outbox| {
        let Outbox { folder, acknowledged, waiting, lost } = outbox;
        json!({ "folder": folder, "acknowledged": acknowledged, "waiting": waiting, "lost": lost })
    };
    let differences: Vec<String> = report.differences.iter().map(ToString::to_string).collect();
    let payments: Vec<String> = report.payments.iter().map(ToString::to_string).collect();
    json!({
        "events": report.events,
        "results": report.results,
        "behind": report.behind,
        "entries": report.entries,
        "grants": report.grants,
        "waiting": report.waiting,
        "told": report.told,
        "untold": report.untold,
        "hash": blake3::Hash::from(report.hash).to_hex().to_string(),
        "count": report.count,
        "differences": differences,
        "payments": payments,
        "outboxes": outboxes.iter().map(outbox).collect::<Vec<_>>(),
    })
}
