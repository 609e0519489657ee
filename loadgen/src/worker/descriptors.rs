//! How many descriptors this process may have: each connection takes one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::Error;

/// Descriptors a process needs beside those of its clients: streams, epoll, timers, publishers, files.
pub const DESCRIPTORS_BESIDE: u64 = 128;

/// Raises the limit on descriptors as far as it goes without privileges, and says whether `clients` connections fit.
///
/// # Errors
/// [`Error::Usage`] with what to do when they do not.
pub fn allow_descriptors(clients: u64) -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    // A limit that stays where it is shows below.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
    let allowed = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    enough(allowed, clients).map_err(Error::Usage)
}

fn enough(allowed: u64, clients: u64) -> Result<(), String> {
    let wanted = clients + DESCRIPTORS_BESIDE;
    if wanted <= allowed {
        return Ok(());
    }
    let fit = allowed.saturating_sub(DESCRIPTORS_BESIDE);
    let mut words = format!(
        "{clients} connections need {wanted} descriptors in this process, and it may have {allowed}: raise the hard limit \
         (ulimit -Hn {wanted}; ulimit -n {wanted})"
    );
    if fit > 0 {
        let processes = clients.div_ceil(fit);
        words += &format!(", spread the clients (--processes {processes}), or use at most {fit} clients");
    }
    Err(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_suffices_is_fine() {
        assert_eq!(enough(20_000, 18_000), Ok(()));
        assert_eq!(allow_descriptors(16), Ok(()));
    }

    #[test]
    fn too_few_descriptors_are_explained_with_every_way_out() {
        let words = enough(20_000, 50_000).unwrap_err();
        for part in ["50000 connections", "may have 20000", "ulimit -n 50128", "--processes 3", "at most 19872 clients"]
        {
            assert!(words.contains(part), "{part} in {words}");
        }
    }

    #[test]
    fn a_limit_too_small_for_anything_suggests_only_a_higher_one() {
        let words = enough(100, 50).unwrap_err();
        assert!(words.contains("ulimit -n 178") && !words.contains("--processes"), "{words}");
    }
}
