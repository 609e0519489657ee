//! What is seen from outside: processor time and memory of a process, a metrics page, the machine.
//!
//! | module | owns |
//! |---|---|
//! | [`process`] | processor time and memory of a process and its descendants |
//! | [`machine`] | what the machine is, how idle it is, what its sockets hold |
//! | [`metrics`] | a Prometheus or OpenMetrics page, read every second by a thread of its own |

pub mod machine;
pub mod metrics;
pub mod process;
