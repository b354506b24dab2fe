//! What is written of payments into the ledger's entries, and the bytes of it: in the order of the fields, by the ledger's rules.
//! Next: [`crate::notes`] for the envelope around it.

use arbiter_ledger::wire::{Bytes, Parts, Wire};
use arbiter_ledger::{Broken, Map, Name};

use super::aside::DETAIL_BYTES_MAX;
use super::{Aside, Happened, Payment, Payments, Reason, Reversal, Terms, adapter};
use crate::catalogue::{Price, Sum};

/// One note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Noted {
    Begun { payment: u128, player: u64, terms: Terms },
    Paid { payment: u128, delivered: bool },
    Delivered { payment: u128 },
    Reversed { payment: u128, reversal: Reversal, kept: Vec<Sum> },
    Failed { payment: u128 },
    Aside { number: u128, aside: Aside },
    Closed { number: u128 },
}

impl Wire for Noted {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Begun { payment, player, terms } => {
                out.push(0);
                payment.put(out);
                player.put(out);
                terms.put(out);
            }
            Self::Paid { payment, delivered } => {
                out.push(1);
                payment.put(out);
                delivered.put(out);
            }
            Self::Delivered { payment } => {
                out.push(2);
                payment.put(out);
            }
            Self::Reversed { payment, reversal, kept } => {
                out.push(3);
                payment.put(out);
                (*reversal == Reversal::ChargedBack).put(out);
                kept.put(out);
            }
            Self::Failed { payment } => {
                out.push(4);
                payment.put(out);
            }
            Self::Aside { number, aside } => {
                out.push(5);
                number.put(out);
                aside.put(out);
            }
            Self::Closed { number } => {
                out.push(6);
                number.put(out);
            }
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok(match u8::take(from)? {
            0 => Self::Begun { payment: Wire::take(from)?, player: Wire::take(from)?, terms: Wire::take(from)? },
            1 => Self::Paid { payment: Wire::take(from)?, delivered: Wire::take(from)? },
            2 => Self::Delivered { payment: Wire::take(from)? },
            3 => {
                let payment = Wire::take(from)?;
                let reversal = if bool::take(from)? { Reversal::ChargedBack } else { Reversal::Refunded };
                Self::Reversed { payment, reversal, kept: Wire::take(from)? }
            }
            4 => Self::Failed { payment: Wire::take(from)? },
            5 => Self::Aside { number: Wire::take(from)?, aside: Wire::take(from)? },
            6 => Self::Closed { number: Wire::take(from)? },
            _ => return Err(from.broken()),
        })
    }
}

impl Wire for Price {
    fn put(&self, out: &mut Vec<u8>) {
        self.currency.put(out);
        self.amount.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok(Self { currency: Wire::take(from)?, amount: Wire::take(from)? })
    }
}

impl Wire for Sum {
    fn put(&self, out: &mut Vec<u8>) {
        self.asset.put(out);
        self.amount.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok(Self { asset: Wire::take(from)?, amount: Wire::take(from)? })
    }
}

impl Wire for Terms {
    fn put(&self, out: &mut Vec<u8>) {
        self.provider.put(out);
        self.product.put(out);
        self.price.put(out);
        self.gives.put(out);
        self.each_max.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let (provider, product): (Name, Name) = (Wire::take(from)?, Wire::take(from)?);
        Ok(Self { provider, product, price: Wire::take(from)?, gives: Wire::take(from)?, each_max: Wire::take(from)? })
    }
}

impl Wire for Happened {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Paid { product, price } => {
                out.push(0);
                product.put(out);
                price.put(out);
            }
            Self::Refunded { price } => {
                out.push(1);
                price.put(out);
            }
            Self::ChargedBack { price } => {
                out.push(2);
                price.put(out);
            }
            Self::Failed => out.push(3),
        }
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok(match u8::take(from)? {
            0 => Self::Paid { product: Wire::take(from)?, price: Wire::take(from)? },
            1 => Self::Refunded { price: Wire::take(from)? },
            2 => Self::ChargedBack { price: Wire::take(from)? },
            3 => Self::Failed,
            _ => return Err(from.broken()),
        })
    }
}

impl Wire for Reason {
    fn put(&self, out: &mut Vec<u8>) {
        let number = Self::ALL.iter().position(|reason| reason == self).unwrap_or_default();
        out.push(number as u8);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let number = usize::from(u8::take(from)?);
        Self::ALL.get(number).copied().ok_or_else(|| from.broken())
    }
}

fn text(from: &mut Bytes<'_>, bytes_max: usize) -> Result<String, Broken> {
    let bytes: Vec<u8> = Wire::take(from)?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= bytes_max);
    text.ok_or_else(|| from.broken())
}

impl Wire for Aside {
    fn put(&self, out: &mut Vec<u8>) {
        self.provider.put(out);
        self.notification.as_bytes().to_vec().put(out);
        self.payment.put(out);
        self.happened.put(out);
        self.reason.put(out);
        self.detail.as_bytes().to_vec().put(out);
        self.time.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok(Self {
            provider: Wire::take(from)?,
            notification: text(from, adapter::ID_BYTES_MAX)?,
            payment: Wire::take(from)?,
            happened: Wire::take(from)?,
            reason: Wire::take(from)?,
            detail: text(from, DETAIL_BYTES_MAX)?,
            time: Wire::take(from)?,
        })
    }
}

impl Wire for Payment {
    fn put(&self, out: &mut Vec<u8>) {
        self.player.put(out);
        self.terms.as_ref().put(out);
        self.begun.put(out);
        for flag in [self.paid, self.delivered, self.failed, self.refunded, self.charged_back] {
            flag.put(out);
        }
        self.kept.put(out);
    }

    fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        Ok(Self {
            player: Wire::take(from)?,
            terms: Terms::take(from)?.into(),
            begun: Wire::take(from)?,
            paid: Wire::take(from)?,
            delivered: Wire::take(from)?,
            failed: Wire::take(from)?,
            refunded: Wire::take(from)?,
            charged_back: Wire::take(from)?,
            kept: Wire::take(from)?,
        })
    }
}

impl Payments {
    /// Writes all of them.
    pub(crate) fn put_parts<E>(&self, parts: &mut Parts<'_, E>) -> Result<(), E> {
        parts.put_map(&self.payments)?;
        parts.put_map(&self.asides)
    }

    /// Reads what was written.
    pub(crate) fn take(from: &mut Bytes<'_>) -> Result<Self, Broken> {
        let payments: Map<u128, Payment> = Wire::take(from)?;
        let mut all = Self { asides: Wire::take(from)?, ..Self::default() };
        for (number, payment) in &payments {
            all.insert(*number, payment.clone());
        }
        Ok(all)
    }
}
