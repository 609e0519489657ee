//! The parts of the report as tables.

use crate::outcome::Outcome;
use crate::report::chart::escape;
use crate::report::section::{self, Row, Section};

/// All parts that have something to say.
pub fn tables(outcome: &Outcome) -> String {
    let part = |section: &Section| {
        // Wide parts take the whole width; the others stand beside each other.
        let class = if section.head.is_empty() { "" } else { " class=\"wide\"" };
        format!("<section{class}>\n<h2>{}</h2>\n{}</section>\n", section.title, table(section))
    };
    let parts: String = section::sections(outcome).iter().map(part).collect();
    format!("<div class=\"parts\">\n{parts}</div>\n")
}

/// The rows of one.
pub fn table(section: &Section) -> String {
    let classes: Vec<_> =
        (0..section.columns()).map(|column| if section.has_numbers(column) { "number" } else { "words" }).collect();
    let cell = |(word, class): (&&str, &&str)| format!("<th scope=\"col\" class=\"{class}\">{word}</th>");
    let heads: String = section.head.iter().zip(&classes).map(cell).collect();
    let head = if heads.is_empty() { heads } else { format!("<tr><td></td>{heads}</tr>\n") };
    let rows: String = section.rows.iter().map(|each| row(each, &classes)).collect();
    format!("<div class=\"scroll\"><table>\n{head}{rows}</table></div>\n")
}

fn row(row: &Row, classes: &[&str]) -> String {
    let cell = |(at, class): (usize, &&str)| {
        let words = row.cells.get(at).map_or_else(String::new, |cell| escape(cell));
        format!("<td class=\"{class}\">{words}</td>")
    };
    let cells: String = classes.iter().enumerate().map(cell).collect();
    let class = if row.loud { " class=\"loud\"" } else { "" };
    format!("<tr{class}><th scope=\"row\">{}</th>{cells}</tr>\n", escape(&row.label))
}
