//! What only the C library offers: descriptor limits, the host name, and the names of errors.
//!
//! The only file with `unsafe`. Knows nothing of what the answers are used for.
#![allow(unsafe_code)]

use std::io;

/// Raises the soft limit on open descriptors to the hard limit; returns what holds now.
///
/// # Errors
/// When the kernel refuses; the old limit then still holds.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that outlives the call, which only writes to it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur < limit.rlim_max {
        limit.rlim_cur = limit.rlim_max;
        // SAFETY: `limit` is a valid rlimit that outlives the call, which only reads it.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(limit.rlim_cur)
}

/// The host's name, up to the first dot; `node` when it has none.
#[must_use]
pub fn host_name() -> String {
    let mut name = [0_u8; 256];
    // SAFETY: the pointer and the length describe `name`; one byte is kept back so that a cut name still ends in 0.
    let failed = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len() - 1) } != 0;
    let bytes = name.split(|byte| matches!(byte, 0 | b'.')).next().unwrap_or_default();
    if failed || bytes.is_empty() { "node".into() } else { String::from_utf8_lossy(bytes).into_owned() }
}

/// Whether an accept failed because the process or the system has no descriptor left.
#[must_use]
pub fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}

/// Whether an accept failed over one connection that is gone with it, so that the next may do better: it ended in the
/// backlog, the network below it failed, or a firewall forbade it (accept(2)).
#[must_use]
pub fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::ECONNRESET
                | libc::EINTR
                | libc::EPROTO
                | libc::ENOPROTOOPT
                | libc::ENETDOWN
                | libc::ENETUNREACH
                | libc::EHOSTDOWN
                | libc::EHOSTUNREACH
                | libc::ENONET
                | libc::ETIMEDOUT
                | libc::EOPNOTSUPP
                | libc::EPERM
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_the_descriptor_limit_twice_changes_nothing_more() {
        let raised = raise_descriptor_limit().expect("raising to the hard limit is always allowed");
        assert!(raised > 0);
        assert_eq!(raise_descriptor_limit().expect("allowed"), raised);
    }

    #[test]
    fn the_host_has_a_name_without_dots() {
        let name = host_name();
        assert!(!name.is_empty() && !name.contains('.'), "{name}");
    }

    #[test]
    fn errors_are_told_apart() {
        let error = |code| io::Error::from_raw_os_error(code);
        assert!(is_out_of_descriptors(&error(libc::EMFILE)) && is_out_of_descriptors(&error(libc::ENFILE)));
        assert!(!is_out_of_descriptors(&error(libc::ECONNABORTED)));
        assert!(is_of_one_connection(&error(libc::ECONNABORTED)) && is_of_one_connection(&error(libc::EINTR)));
        assert!([libc::EMFILE, libc::ENOMEM, libc::EINVAL].iter().all(|code| !is_of_one_connection(&error(*code))));
    }
}
