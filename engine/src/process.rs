//! What the kernel says about this process: resident memory and descriptors.
//!
//! Read from `/proc` every few seconds by the acceptor; where there is no `/proc`, the numbers stay 0.

use std::fs;
use std::sync::atomic::Ordering::Relaxed;

use crate::gauges::NodeGauges;

/// Stores resident memory and open descriptors in the gauges.
pub fn observe(gauges: &NodeGauges) {
    if let Some(bytes) = resident_bytes() {
        gauges.resident_bytes.store(bytes, Relaxed);
    }
    gauges.open_fds.store(open_descriptors(), Relaxed);
}

fn resident_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn open_descriptors() -> u64 {
    // Since Linux 6.2 the size of the directory is the number of descriptors; before, it is 0 and they are counted.
    match fs::metadata("/proc/self/fd").map(|directory| directory.len()) {
        Ok(0) => fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
        Ok(count) => count,
        Err(_) => 0,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_memory_and_descriptors() {
        let gauges = NodeGauges::new(1);
        observe(&gauges);
        assert!(gauges.resident_bytes.load(Relaxed) > 100_000);
        assert!(gauges.open_fds.load(Relaxed) >= 3);
    }
}
