//! Databases of SQLite.
//!
//! In: two databases. Out: the fields of their headers that differ, what their schemas say, and the
//! rows of tables by their rowid (sqlite.org, "Database File Format", which section numbers are
//! of). cairn's own reader of tables alone, some hundred lines, in place of SQLite's C. Indexes,
//! which follow from tables, and tables without rowids aren't read; every page is read once at
//! most, whatever points at it.

use std::collections::{BTreeMap, BTreeSet};

use super::number::{be16, be32};
use super::{Budget, Found, Odd, Pair, shown};
use crate::compare::report::{Aspect, Detail};

/// Most rows that are told of each table.
const MOST_ROWS: usize = 20;
/// Longest value that is shown whole, in bytes.
const LONGEST: usize = 200;

/// Section 1.3, but for what says how long the file is.
const FIELDS: [(&str, usize); 8] = [
    ("file change counter", 24),
    ("pages on the freelist", 36),
    ("schema cookie", 40),
    ("text encoding", 56),
    ("user version", 60),
    ("application ID", 68),
    ("version-valid-for number", 92),
    ("version of SQLite", 96),
];

pub(super) fn compare(pair: Pair, budget: &mut Budget) -> Result<Found, Odd> {
    let mut found = Found::default();
    let files = [Database::open(pair[0])?, Database::open(pair[1])?];
    found.field("page size", files[0].page_size, files[1].page_size);
    for (name, at) in FIELDS {
        let numbers = pair.map(|bytes| be32(bytes, at).unwrap_or_default());
        found.field(name, numbers[0], numbers[1]);
    }
    let [before, after] = [files[0].schema(budget)?, files[1].schema(budget)?];
    let names: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for name in names {
        let both = [before.get(name), after.get(name)];
        let sql = both.map(|item| item.map(|item| shown(&item.sql)));
        let [old, new] = sql;
        let title = shown(name);
        found
            .details
            .extend(Aspect::new(title.clone(), old, new).map(Detail::Field));
        if let [Some(old), Some(new)] = both {
            let (old, new) = (
                files[0].rows(old.root, budget)?,
                files[1].rows(new.root, budget)?,
            );
            rows(&mut found, &title, &old, &new);
        }
    }
    Ok(found)
}

fn rows(found: &mut Found, title: &str, before: &Rows, after: &Rows) {
    let numbers: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut more = 0;
    for number in numbers {
        let (old, new) = (before.get(number), after.get(number));
        if old == new {
            continue;
        }
        more += 1;
        if more <= MOST_ROWS {
            let text = |row: Option<&Vec<u8>>| {
                row.map(|row| record(row).unwrap_or_else(|| "?".to_owned()))
            };
            let what = format!("{title}, row {number}");
            let aspect = Aspect {
                what,
                before: text(old),
                after: text(new),
            };
            found.details.push(Detail::Field(aspect));
        }
    }
    if more > MOST_ROWS {
        found.note(format!("{title}: {} rows more differ", more - MOST_ROWS));
    }
}

/// Records by rowid.
type Rows = BTreeMap<i64, Vec<u8>>;

/// Something of the schema.
struct Item {
    sql: Vec<u8>,
    /// Of a table, else 0.
    root: u32,
}

struct Database<'a> {
    bytes: &'a [u8],
    page_size: usize,
    /// What of a page may be used.
    usable: usize,
}

impl<'a> Database<'a> {
    fn open(bytes: &'a [u8]) -> Result<Database<'a>, Odd> {
        let odd = || Odd::Other("its header makes no sense".to_owned());
        let page_size = match be16(bytes, 16).ok_or_else(odd)? {
            1 => 65_536,
            size => usize::from(size),
        };
        let reserved = usize::from(*bytes.get(20).ok_or_else(odd)?);
        let is_sound =
            page_size.is_power_of_two() && page_size >= 512 && page_size - reserved >= 480;
        match is_sound {
            true => Ok(Database {
                bytes,
                page_size,
                usable: page_size - reserved,
            }),
            false => Err(odd()),
        }
    }

    /// Everything in the schema by its kind and name (section 2.6).
    fn schema(&self, budget: &mut Budget) -> Result<BTreeMap<Vec<u8>, Item>, Odd> {
        let mut items = BTreeMap::new();
        for row in self.rows(1, budget)?.into_values() {
            let Some(values) = values(&row) else { continue };
            let [Value::Text(kind), Value::Text(name), _, root, sql] = &values[..] else {
                continue;
            };
            let is_table = *kind == b"table";
            let root = match root {
                Value::Integer(root) if is_table => u32::try_from(*root).unwrap_or_default(),
                _ => 0,
            };
            let sql = match sql {
                Value::Text(sql) => sql.to_vec(),
                _ => Vec::new(),
            };
            items.insert([kind, &b" "[..], name].concat(), Item { sql, root });
        }
        Ok(items)
    }

    fn page(&self, number: u32) -> Option<&'a [u8]> {
        let begin = (number as usize)
            .checked_sub(1)?
            .checked_mul(self.page_size)?;
        self.bytes.get(begin..begin.checked_add(self.page_size)?)
    }

    /// The rows of the table whose tree begins at that page (section 1.6).
    fn rows(&self, root: u32, budget: &mut Budget) -> Result<Rows, Odd> {
        const INTERIOR: u8 = 5;
        const LEAF: u8 = 13;
        let mut rows = Rows::new();
        let mut seen = BTreeSet::new();
        let mut todo = vec![root];
        while let Some(number) = todo.pop() {
            if root == 0 || !seen.insert(number) {
                continue;
            }
            budget.take(self.page_size as u64)?;
            let odd = || Odd::Other(format!("page {number} makes no sense"));
            let page = self.page(number).ok_or_else(odd)?;
            // The file's header comes before that of the first page.
            let at = if number == 1 { 100 } else { 0 };
            let kind = *page.get(at).ok_or_else(odd)?;
            let count = usize::from(be16(page, at + 3).ok_or_else(odd)?);
            let pointers = match kind {
                INTERIOR => {
                    todo.push(be32(page, at + 8).ok_or_else(odd)?);
                    at + 12
                }
                LEAF => at + 8,
                // A table without rowids.
                _ => continue,
            };
            for cell in 0..count {
                let place = be16(page, pointers + 2 * cell).ok_or_else(odd)?.into();
                match kind {
                    INTERIOR => todo.push(be32(page, place).ok_or_else(odd)?),
                    _ => {
                        let (rowid, record) = self.cell(page, place, budget)?.ok_or_else(odd)?;
                        rows.insert(rowid, record);
                    }
                }
            }
        }
        Ok(rows)
    }

    /// A row: its rowid, and its record, of which a part may be on pages of its own.
    fn cell(
        &self,
        page: &[u8],
        at: usize,
        budget: &mut Budget,
    ) -> Result<Option<(i64, Vec<u8>)>, Odd> {
        let read = || {
            let (size, at) = varint(page, at)?;
            let (rowid, at) = varint(page, at)?;
            let size = usize::try_from(size).ok()?;
            let local = self.local(size);
            let record = page.get(at..at.checked_add(local)?)?;
            Some((size, rowid, record, at + local))
        };
        let Some((size, rowid, record, end)) = read() else {
            return Ok(None);
        };
        budget.take(record.len() as u64)?;
        let mut record = record.to_vec();
        let mut next = if record.len() < size {
            be32(page, end)
        } else {
            None
        };
        while let Some(number) = next.filter(|_| record.len() < size) {
            budget.take(self.page_size as u64)?;
            let Some(page) = self.page(number) else {
                return Ok(None);
            };
            let want = (size - record.len()).min(self.usable - 4);
            record.extend_from_slice(&page[4..4 + want]);
            next = be32(page, 0);
        }
        Ok((record.len() == size).then_some((rowid, record)))
    }

    /// How much of a record of `size` bytes stands in its cell (section 1.6).
    fn local(&self, size: usize) -> usize {
        let most = self.usable - 35;
        if size <= most {
            return size;
        }
        let least = (self.usable - 12) * 32 / 255 - 23;
        let wanted = least + (size - least) % (self.usable - 4);
        if wanted <= most { wanted } else { least }
    }
}

/// A number of one to nine bytes, and where it ends.
fn varint(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let mut number: u64 = 0;
    for length in 0..8 {
        let byte = *bytes.get(at + length)?;
        number = number << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((number as i64, at + length + 1));
        }
    }
    let last = *bytes.get(at + 8)?;
    Some(((number << 8 | u64::from(last)) as i64, at + 9))
}

enum Value<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Blob(&'a [u8]),
    Text(&'a [u8]),
}

/// The values of a record (section 2.1).
fn values(record: &[u8]) -> Option<Vec<Value<'_>>> {
    let (header, mut at) = varint(record, 0)?;
    let header = usize::try_from(header).ok()?;
    let mut rest = record.get(header..)?;
    let mut values = Vec::new();
    while at < header {
        // SQLite's own limit (sqlite.org, "Implementation Limits", SQLITE_MAX_COLUMN).
        if values.len() >= 32_767 {
            return None;
        }
        let (kind, next) = varint(record, at)?;
        at = next;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind as usize,
            5 => 6,
            6 | 7 => 8,
            12.. => usize::try_from((kind - 12) / 2).ok()?,
            _ => return None,
        };
        let (bytes, others) = rest.split_at_checked(length)?;
        rest = others;
        values.push(match kind {
            0 => Value::Null,
            8 | 9 => Value::Integer(kind - 8),
            1..=6 => {
                // The sign is that of the first byte.
                let sign = if bytes[0] < 0x80 { 0 } else { -1 };
                let number = bytes
                    .iter()
                    .fold(sign, |number, byte| number << 8 | i64::from(*byte));
                Value::Integer(number)
            }
            7 => Value::Real(f64::from_be_bytes(*bytes.first_chunk()?)),
            _ if kind % 2 == 0 => Value::Blob(bytes),
            _ => Value::Text(bytes),
        });
    }
    Some(values)
}

/// A record as SQL has its values.
fn record(record: &[u8]) -> Option<String> {
    let cut = |bytes: &[u8]| {
        let text = shown(&bytes[..bytes.len().min(LONGEST)]);
        let more = bytes.len().saturating_sub(LONGEST);
        (
            text,
            if more > 0 {
                format!("… ({more} bytes more)")
            } else {
                String::new()
            },
        )
    };
    let values = values(record)?;
    let texts = values.iter().map(|value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => format!("{number:?}"),
        Value::Blob(bytes) => {
            let end = bytes.len().min(LONGEST / 2);
            format!(
                "x'{}'{}",
                super::bytes::hex(&bytes[..end]),
                if end < bytes.len() { "…" } else { "" }
            )
        }
        Value::Text(bytes) => {
            let (text, more) = cut(bytes);
            format!("'{text}'{more}")
        }
    });
    Some(texts.collect::<Vec<_>>().join(", "))
}
