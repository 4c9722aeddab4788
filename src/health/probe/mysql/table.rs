//! The answer to a question: a table, in the protocol's text form.

use super::bytes::Fields;
use super::refusal::Refusal;
use super::talk::Talk;
use crate::health::probe::Finding;

/// Names of columns, and rows of as many cells; `None` is NULL.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) names: Vec<String>,
    pub(super) rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// Asks `question` and reads the table that it is answered with, or why it isn't.
    pub(super) async fn ask(
        talk: &mut Talk,
        question: &str,
    ) -> Result<Result<Self, Refusal>, Finding> {
        talk.ask(question).await;
        let head = talk.read_answer(question).await?;
        if let Some(refusal) = Refusal::read(&head) {
            return Ok(Err(refusal));
        }
        let Some(columns) = Fields::new(&head).number().filter(|count| *count > 0) else {
            return Err(talk.odd("it is no table"));
        };
        let mut table = Self::default();
        for _ in 0..columns {
            let column = talk.read_answer(question).await?;
            let Some(name) = column_name(&column) else {
                return Err(talk.odd("its table has a column without a name"));
            };
            table.names.push(name);
        }
        if !is_end(&talk.read_answer(question).await?) {
            return Err(talk.odd("its table has no end of columns"));
        }
        loop {
            let row = talk.read_answer(question).await?;
            if is_end(&row) {
                return Ok(Ok(table));
            }
            if let Some(refusal) = Refusal::read(&row) {
                return Ok(Err(refusal));
            }
            let Some(cells) = cells(&row, table.names.len()) else {
                return Err(talk.odd("its table has a row that doesn't fit"));
            };
            table.rows.push(cells);
        }
    }

    /// The cell in the first of these columns that the table has; servers have come to call the same thing otherwise.
    pub(super) fn cell<'a>(&self, row: &'a [Option<String>], names: [&str; 2]) -> Option<&'a str> {
        let named = |wanted: &str| self.names.iter().position(|name| *name == wanted);
        let column = names.into_iter().find_map(named)?;
        row.get(column)?.as_deref()
    }
}

/// Catalogue, schema, table and its original name come first.
fn column_name(packet: &[u8]) -> Option<String> {
    let mut fields = Fields::new(packet);
    for _ in 0..4 {
        fields.counted()?;
    }
    Some(String::from_utf8_lossy(fields.counted()?).into_owned())
}

/// No row begins like this but one whose first cell has 16 MiB.
fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

fn cells(packet: &[u8], count: usize) -> Option<Vec<Option<String>>> {
    let mut fields = Fields::new(packet);
    let mut cell = || {
        let bytes = fields.cell()?;
        Some(bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()))
    };
    (0..count).map(|_| cell()).collect()
}
