//! How often somebody may try to sign in: for each user name and for each address.
//!
//! Keys fall into a fixed number of slots by a hash that is secret to this process, so memory is bounded whatever names are tried, and nobody
//! can choose a name to share somebody else's slot.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    num::NonZeroU32,
    time::Duration,
};

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock, clock::DefaultClock};

/// Slots for names, and as many for addresses.
const LIMIT_SLOTS_MAX: u64 = 4096;
/// Tries of one name at once, and seconds until one more.
const NAME_BURST: u32 = 5;
const NAME_SECONDS: u64 = 30;
/// Tries from one address at once, and seconds until one more.
const ADDRESS_BURST: u32 = 20;
const ADDRESS_SECONDS: u64 = 5;

/// The two limiters of sign-in.
pub struct SignInLimit {
    names: DefaultKeyedRateLimiter<u64>,
    addresses: DefaultKeyedRateLimiter<u64>,
    slots: RandomState,
}

impl SignInLimit {
    pub fn new() -> Self {
        Self {
            names: RateLimiter::keyed(quota(NAME_BURST, NAME_SECONDS)),
            addresses: RateLimiter::keyed(quota(ADDRESS_BURST, ADDRESS_SECONDS)),
            slots: RandomState::new(),
        }
    }

    /// May this name be tried from this address now? If not, after how many seconds.
    pub fn check(&self, name: &str, address: impl Hash) -> Result<(), u64> {
        let wait = |until: governor::NotUntil<_>| until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
        self.addresses.check_key(&self.slot(address)).map_err(wait)?;
        self.names.check_key(&self.slot(name)).map_err(wait)
    }

    fn slot(&self, key: impl Hash) -> u64 {
        self.slots.hash_one(key) % LIMIT_SLOTS_MAX
    }
}

fn quota(burst: u32, seconds: u64) -> Quota {
    Quota::with_period(Duration::from_secs(seconds))
        .expect("the period is not zero")
        .allow_burst(NonZeroU32::new(burst).expect("the burst is not zero"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_limited_from_anywhere_and_an_address_for_any_name() {
        let limit = SignInLimit::new();
        for address in 0..NAME_BURST {
            assert_eq!(limit.check("mette", address), Ok(()));
        }
        assert!(limit.check("mette", 99).is_err_and(|seconds| (1..=NAME_SECONDS + 1).contains(&seconds)));
        let refused = (0..100).filter(|n| limit.check(&format!("user-{n}"), "one address").is_err()).count();
        assert!(refused >= 100 - ADDRESS_BURST as usize);
    }

    #[test]
    fn memory_is_bounded_whatever_is_tried() {
        let limit = SignInLimit::new();
        for n in 0..20_000 {
            let _ = limit.check(&n.to_string(), n);
        }
        assert!(limit.names.len() as u64 <= LIMIT_SLOTS_MAX && limit.addresses.len() as u64 <= LIMIT_SLOTS_MAX);
    }
}
