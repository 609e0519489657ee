//! What a run found out, as a table, JSON, a page, a comparison, a verdict.
//!
//! | module | what |
//! |---|---|
//! | [`table`] | the result on the terminal |
//! | [`json`] | the result in a file, and read again |
//! | [`html`] | the result as one page |
//! | [`compare`] | two results side by side, with their noise |
//! | [`expect`] | what a result has to be: `p99<5ms,lost=0` |
//! | [`section`] | the result in words and numbers, for table and page |
//! | [`figure`] | a result's figures by name, for comparison and expectation |
//! | [`chart`] | line and bar charts in SVG |
//! | [`units`] | numbers as people read them |
//! | [`secrets`] | a scenario without what nobody else should read |

pub mod chart;
pub mod compare;
pub mod expect;
pub mod figure;
pub mod html;
pub mod json;
pub mod secrets;
pub mod section;
pub mod table;
pub mod units;

#[cfg(test)]
mod sample_outcome;
