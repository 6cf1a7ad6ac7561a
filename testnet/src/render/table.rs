//! Tables with nothing drawn around them.

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};

/// Lines of a table with these headings; columns named in `right` hold numbers.
#[must_use]
pub fn table(headings: &[&str], right: &[usize], rows: Vec<Vec<String>>) -> Vec<String> {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(headings.iter().copied());
    table.add_rows(rows);
    for index in right {
        if let Some(column) = table.column_mut(*index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string().lines().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_numbers_stand_right() {
        let rows = vec![vec!["A edge".to_owned(), "200".to_owned()], vec!["D gpu".to_owned(), "7".to_owned()]];
        assert_eq!(table(&["class", "agents"], &[1], rows), [" class   agents", " A edge     200", " D gpu        7"]);
    }
}
