//! Where something is: an owner, an asset, a bucket.

use std::fmt;

use crate::name::{Name, fixed};

/// The owner of what is nobody's: issuers, and what the house takes in.
pub const HOUSE: u64 = 0;

/// Bucket in which an owner has an asset to spend.
pub const MAIN: &str = "main";
/// Bucket of what open holds keep. Only holds touch it.
pub const HELD: &str = "held";
/// Bucket of what an owner owes: it may be below zero.
pub const DEBT: &str = "debt";
/// Bucket of the house from which an asset comes and to which it goes back: below zero by what is out in the world.
pub const ISSUER: &str = "issuer";

/// Names an account. Accounts of one owner stand together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    /// A player's number; [`HOUSE`] for the house.
    pub owner: u64,
    /// What is in it.
    pub asset: Name,
    /// Which of the owner's buckets: [`MAIN`], [`HELD`], [`DEBT`], [`ISSUER`] or a studio's own.
    pub bucket: Name,
}

impl Account {
    /// What an owner can spend.
    pub fn main(owner: u64, asset: Name) -> Self {
        Self { owner, asset, bucket: fixed(MAIN) }
    }

    /// What an owner owes.
    pub fn debt(owner: u64, asset: Name) -> Self {
        Self { owner, asset, bucket: fixed(DEBT) }
    }

    /// Where an asset comes from.
    pub fn issuer(asset: Name) -> Self {
        Self { owner: HOUSE, asset, bucket: fixed(ISSUER) }
    }

    /// Where holds keep what they took from this account.
    pub fn held(&self) -> Self {
        Self { owner: self.owner, asset: self.asset.clone(), bucket: fixed(HELD) }
    }

    /// Whether it is its asset's issuer.
    pub fn is_issuer(&self) -> bool {
        self.bucket.as_str() == ISSUER
    }

    /// Whether its owner can spend what is in it.
    pub fn is_main(&self) -> bool {
        self.bucket.as_str() == MAIN
    }

    /// Whether it is a bucket of debt.
    pub fn is_debt(&self) -> bool {
        self.bucket.as_str() == DEBT
    }

    /// Whether only holds may touch it.
    pub fn is_held(&self) -> bool {
        self.bucket.as_str() == HELD
    }

    /// Whether it may be below zero.
    pub fn may_be_negative(&self) -> bool {
        self.is_issuer() || self.is_debt()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.owner, self.asset, self.bucket)
    }
}

/// What an account holds and what is said of it. An account with nothing of either is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// What is there, in the asset's smallest unit.
    pub amount: i64,
    /// What open holds took from here and may bring back. `amount` and this together never pass `i64::MAX`, so that what
    /// comes back always has its place.
    pub returning: u64,
    /// How far from zero it may be moved: above for all accounts, with what may come back; below for those that may be
    /// below zero. `None` for no limit.
    pub limit: Option<u64>,
    /// Whether nothing may be taken from it or put into it. What a hold took comes back all the same.
    pub frozen: bool,
}
