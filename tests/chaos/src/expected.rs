//! What must be in the wallets: counted from the results in the outbox and from the answers that the customer got.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use arbiter_contracts::Event;
use arbiter_tests::envelopes;

use crate::customer::Receipts;
use crate::town::Town;

/// Worth of having played and of having won, as the catalogue of the town says.
const PLAYED: i64 = 10;
const WON: i64 = 15;

/// Lines that are printed of what is wrong.
const WRONG_MAX: usize = 20;

#[derive(Debug, Default)]
struct Purse {
    gold: i64,
    medkits: i64,
}

#[derive(Debug, Default)]
pub struct Expected {
    purses: BTreeMap<u64, Purse>,
    /// Results of single players.
    pub results: u64,
    pub purchases: u64,
}

#[derive(Debug, Default)]
pub struct Verdict {
    pub players: usize,
    /// Gold of all players, as the services have it and as it must be.
    pub found: i64,
    pub expected: i64,
    /// Grants and purchases that are missing, and that are there more than once, in units of gold and medkits.
    pub lost: i64,
    pub doubled: i64,
    pub wrong: Vec<String>,
}

impl Expected {
    pub fn read(folder: &Path, receipts: &Receipts) -> Result<Self> {
        let mut expected = Self::default();
        for envelope in envelopes(&folder.join("outbox"))? {
            if let Event::MatchEnded(ended) = envelope.event {
                for result in ended.results.iter().filter(|result| result.player != 0 && result.ticks_played > 0) {
                    expected.results += 1;
                    let purse = expected.purses.entry(result.player).or_default();
                    purse.gold += PLAYED + if result.won { WON } else { 0 };
                }
            }
        }
        for (player, bought) in receipts {
            let purse = expected.purses.entry(*player).or_default();
            purse.gold -= *bought as i64;
            purse.medkits += *bought as i64;
            expected.purchases += bought;
        }
        Ok(expected)
    }

    pub fn compare(&self, town: &Town) -> Result<Verdict> {
        let mut verdict = Verdict { players: self.purses.len(), ..Verdict::default() };
        for (player, purse) in &self.purses {
            let (gold, medkits) = town.balances(*player)?;
            verdict.found += gold;
            verdict.expected += purse.gold;
            for (what, found, expected) in [("gold", gold, purse.gold), ("medkits", medkits, purse.medkits)] {
                verdict.lost += (expected - found).max(0);
                verdict.doubled += (found - expected).max(0);
                if found != expected && verdict.wrong.len() < WRONG_MAX {
                    verdict.wrong.push(format!("player {player} has {found} {what}, and {expected} is expected"));
                }
            }
        }
        Ok(verdict)
    }
}

impl Verdict {
    pub fn is_good(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.players > 0
    }
}
