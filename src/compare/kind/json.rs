//! JSON, field by field.
//!
//! In: two documents. Out: the fields that differ; the lines, where only how it is written does.

use serde_json::Value;

use super::{Budget, Found, Odd, Pair, text};
use crate::compare::image::document;
use crate::compare::report::Detail;

/// Most fields; beyond, lines say more.
const MOST: usize = 200;
/// Largest document that is read, in bytes.
const LARGEST: usize = 8 << 20;

pub(super) fn compare(pair: Pair, budget: &mut Budget) -> Result<Found, Odd> {
    let parse = |bytes| serde_json::from_slice::<Value>(bytes);
    if pair.iter().all(|bytes| bytes.len() <= LARGEST)
        && let (Ok(before), Ok(after)) = (parse(pair[0]), parse(pair[1]))
    {
        let fields = document("", &before, &after);
        if (1..=MOST).contains(&fields.len()) {
            let details = fields.into_iter().map(Detail::Field).collect();
            return Ok(Found {
                details,
                inside: Vec::new(),
            });
        }
    }
    text::compare(pair, budget)
}
