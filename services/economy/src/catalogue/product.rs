//! What is sold for money of the real world: a list of its own, since no player's account pays for it.
//!
//! That money is an asset of the ledger too, so that what the house took in stands in the same books. Next: [`crate::payments`].

use std::collections::BTreeMap;

use arbiter_ledger::{Asset, Name, Time};
use serde::Deserialize;

use super::{Amount, BadCatalogue, Check, Date, FileSum, LISTED_MAX, Sum, Text};

/// What stands before a currency in the name of its asset.
pub(crate) const REAL: &str = "real.";

/// Bytes of a product's name at most: it stands behind `chargeback:` in the reason of a booking.
pub const PRODUCT_NAME_BYTES_MAX: usize = arbiter_ledger::name::NAME_BYTES_MAX - "chargeback:".len();

/// An amount of money of the real world.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price {
    /// Code of ISO 4217, as EUR.
    pub currency: Name,
    /// In the currency's smallest unit, from 1.
    pub amount: u64,
}

impl Price {
    /// The ledger's asset of this currency: `real.EUR`.
    pub fn asset(&self) -> Name {
        // Currencies have three letters, wherever they come from: see `is_currency`.
        format!("{REAL}{}", self.currency).parse().unwrap_or_else(|_| self.currency.clone())
    }
}

impl std::fmt::Display for Price {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

/// Something that is sold for money of the real world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// What it costs.
    pub price: Price,
    /// What one gets.
    pub gives: Vec<Sum>,
    /// How many of it one player may ever buy; `None` for any number.
    pub each_max: Option<u32>,
    /// From when it is for sale.
    pub from: Time,
    /// Until when it is for sale.
    pub until: Time,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileProduct {
    name: Text,
    price: FilePrice,
    gives: Vec<FileSum>,
    each_max: Option<u32>,
    from: Option<Date>,
    until: Option<Date>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePrice {
    currency: Currency,
    amount: Amount,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Currency(Name);

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no currency: write its three letters of ISO 4217, as \"EUR\"");
        if !is_currency(&text) {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

/// Currencies that people pay with, by ISO 4217 in the edition of 2026: a slip of the pen must not become an asset.
const CURRENCIES: &str = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF \
    CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR \
    ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP MRU \
    MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD \
    SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VES VND VUV WST XAF XCD XCG XOF \
    XPF YER ZAR ZMW ZWG";

/// Whether a text is a currency that people pay with.
pub fn is_currency(text: &str) -> bool {
    text.len() == 3 && CURRENCIES.split_ascii_whitespace().any(|code| code == text)
}

impl Check<'_> {
    /// Checks the products and makes the money that they cost known among the assets.
    pub(super) fn products(
        &self,
        listed: Vec<FileProduct>,
        assets: &mut BTreeMap<Name, Asset>,
    ) -> Result<BTreeMap<Name, Product>, BadCatalogue> {
        let mut products = BTreeMap::new();
        for (number, product) in listed.into_iter().enumerate() {
            let field = format!("products[{number}]");
            let (name, product) = self.product(&field, product, assets)?;
            if products.insert(name.clone(), product).is_some() {
                return Err(self.wrong(&name, format!("{field}.name: there are two products {name}")));
            }
            if products.len() > LISTED_MAX {
                return Err(self.wrong(&name, format!("products: there are more than {LISTED_MAX}")));
            }
        }
        assets.extend(products.values().map(|product: &Product| (product.price.asset(), Asset { supply: None })));
        Ok(products)
    }

    fn product(
        &self,
        field: &str,
        product: FileProduct,
        assets: &BTreeMap<Name, Asset>,
    ) -> Result<(Name, Product), BadCatalogue> {
        let FileProduct { name: Text(name), price, gives, each_max, from, until } = product;
        let FilePrice { currency: Currency(currency), amount: Amount(amount) } = price;
        if name.as_str().len() > PRODUCT_NAME_BYTES_MAX {
            let what = format!("{field}.name: a product's name has at most {PRODUCT_NAME_BYTES_MAX} bytes");
            return Err(self.wrong(&name, what));
        }
        let gives: Vec<Sum> = gives.into_iter().map(Sum::from).collect();
        let from = from.map_or(Time(0), |Date(from)| from);
        let until = until.map_or(Time::NEVER, |Date(until)| until);
        self.terms(field, &name, &gives, each_max, (from, until), assets)?;
        Ok((name, Product { price: Price { currency, amount }, gives, each_max, from, until }))
    }
}
