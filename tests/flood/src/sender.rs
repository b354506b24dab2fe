//! A thread that sends as fast as it may, from many addresses.

use std::fmt;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::ammunition::Ammunition;

/// Sockets of a thread, each with an address of its own.
const SOCKETS: usize = 128;
/// Packets of one system call.
const BATCH: usize = 32;
/// A thread that is ahead of its rate waits so long.
const WAIT: Duration = Duration::from_micros(200);

/// How fast all together are.
#[derive(Debug, Clone, Copy)]
pub struct Aim<'a> {
    /// Packets a second.
    pub rate: u32,
    /// Threads that share them.
    pub senders: u16,
    /// Packets that others have sent, which count too.
    pub others: &'a AtomicU64,
}

/// What a sender did.
#[derive(Debug, Default)]
pub struct Report {
    /// Packets that left.
    pub sent: u64,
    refused: u64,
    answers: u64,
    answer_bytes: u64,
    seconds: f64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, refused, answers, answer_bytes, seconds } = self;
        let rate = *sent as f64 / seconds.max(1e-3);
        write!(f, "{sent} packets ({rate:.0}/s), {refused} calls refused, {answers} answers of {answer_bytes} B in all")
    }
}

/// Sends until it is told to stop.
pub fn run(number: u16, aim: Aim<'_>, ammunition: &Ammunition, stop: &AtomicBool) -> Result<Report> {
    let sockets = (0..SOCKETS).map(|at| open(number, at, ammunition.server)).collect::<Result<Vec<_>>>()?;
    let mut report = Report::default();
    let start = Instant::now();
    let mut at = usize::from(number) * 997;
    let mut buffer = [0; 2_048];
    while !stop.load(Ordering::Relaxed) {
        let all = (start.elapsed().as_secs_f64() * f64::from(aim.rate)) as u64;
        let due = all.saturating_sub(aim.others.load(Ordering::Relaxed)) / u64::from(aim.senders);
        if report.sent + report.refused >= due {
            std::thread::sleep(WAIT);
            continue;
        }
        let socket = &sockets[at / BATCH % SOCKETS];
        let packets = &ammunition.packets;
        let batch: [&[u8]; BATCH] = std::array::from_fn(|offset| &packets[(at + offset) % packets.len()][..]);
        // Not a multiple of the number of packets: every socket sends every packet in time.
        at += BATCH;
        if at.is_multiple_of(packets.len()) {
            at += 7;
        }
        match send(socket, &batch) {
            Ok(count) => report.sent += count as u64,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => report.refused += 1,
        }
        while let Ok(count) = socket.recv(&mut buffer) {
            report.answers += 1;
            report.answer_bytes += count as u64;
        }
    }
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// A socket at an address of its own: to the server a stranger.
fn open(number: u16, at: usize, server: SocketAddr) -> Result<UdpSocket> {
    let address = Ipv4Addr::new(127, 1 + number as u8, (at / 200) as u8, (at % 200) as u8 + 1);
    let socket = UdpSocket::bind((address, 0)).with_context(|| format!("no socket on {address}"))?;
    socket.set_nonblocking(true)?;
    socket.connect(server)?;
    Ok(socket)
}

/// Sends a batch with one system call and returns how many left.
#[cfg(target_os = "linux")]
fn send(socket: &UdpSocket, batch: &[&[u8]; BATCH]) -> std::io::Result<usize> {
    use std::io::IoSlice;

    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, sendmmsg};

    let slices: [[IoSlice<'_>; 1]; BATCH] = std::array::from_fn(|at| [IoSlice::new(batch[at])]);
    let mut controls: [SendAncillaryBuffer<'_, '_, '_>; BATCH] =
        std::array::from_fn(|_| SendAncillaryBuffer::default());
    let mut messages: Vec<MMsgHdr<'_>> =
        slices.iter().zip(&mut controls).map(|(slice, control)| MMsgHdr::new(slice, control)).collect();
    Ok(sendmmsg(socket, &mut messages, SendFlags::empty())?)
}

/// The same where there is no such call.
#[cfg(not(target_os = "linux"))]
fn send(socket: &UdpSocket, batch: &[&[u8]; BATCH]) -> std::io::Result<usize> {
    batch.iter().try_fold(0, |sent, packet| socket.send(packet).map(|_| sent + 1))
}
