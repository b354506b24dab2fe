//! How much one caller may ask: connections, rate, size, time. What is beyond costs the caller an answer of a few bytes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::problem::Problem;

/// What is taken at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections_max: usize,
    /// Bytes of a body.
    pub body_bytes_max: usize,
    /// Until a request is answered.
    pub timeout: Duration,
    /// Requests a second of one address, over time. An address of IPv6 is its first 64 bits, since a household has as many.
    pub requests_per_s: NonZeroU32,
    /// Requests of one address at once.
    pub burst: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 4_096,
            body_bytes_max: 64 << 10,
            timeout: Duration::from_secs(10),
            // A client asks a few times a match; behind one address of IPv4 there may be a school.
            requests_per_s: NonZeroU32::new(200).unwrap_or(NonZeroU32::MIN),
            burst: NonZeroU32::new(1_000).unwrap_or(NonZeroU32::MIN),
        }
    }
}

/// Addresses that are remembered before those that have been quiet are forgotten.
const ADDRESSES_MAX: usize = 65_536;

type Limiter = RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>;

/// Counts requests by address.
pub(crate) struct Rate {
    limiter: Limiter,
    clock: DefaultClock,
}

impl Rate {
    pub fn new(limits: &Limits) -> Self {
        let quota = Quota::per_second(limits.requests_per_s).allow_burst(limits.burst);
        Self { limiter: RateLimiter::hashmap(quota), clock: DefaultClock::default() }
    }

    fn check(&self, address: IpAddr) -> Result<(), Duration> {
        if self.limiter.len() > ADDRESSES_MAX {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&household(address)).map_err(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

/// The part of an address that one caller cannot change at will.
fn household(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(six) => match six.to_ipv4_mapped() {
            Some(four) => IpAddr::V4(four),
            None => IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
        },
    }
}

/// Refuses with 429 where one address asks too much.
pub(crate) fn rate(rate: &Rate, request: &Request) -> Result<(), Problem> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let ConnectInfo(address) = peer.ok_or_else(|| Problem::unavailable("nobody knows who asks", 1))?;
    rate.check(address.ip()).map_err(|wait| {
        let detail = "too many requests from this address: wait and try again";
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail).after(seconds)
    })
}

/// Answers 503 where a request takes too long.
pub(crate) async fn timeout(timeout: Duration, answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            let detail =
                "the request took too long and may or may not have been done: send it again under the same key";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail).after(1).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_household_of_ipv6_is_one_caller() {
        let limits = Limits { burst: NonZeroU32::MIN, requests_per_s: NonZeroU32::MIN, ..Limits::default() };
        let rate = Rate::new(&limits);
        let address = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(rate.check(address("2001:db8::1")), Ok(()));
        assert!(rate.check(address("2001:db8::2")).is_err());
        assert_eq!(rate.check(address("2001:db8:0:1::1")), Ok(()));
    }
}
