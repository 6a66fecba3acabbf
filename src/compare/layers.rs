//! Two stacks of layers, aligned.
//!
//! In: diff IDs and blobs, bottom first. Out: which layers are the same, and which stand where
//! another was.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::report::{LayerChange, LayerSide, LayerState};
use crate::canon::DiffId;
use crate::image::Descriptor;

/// Most layers that are aligned wherever they stand; more only from both ends.
const MOST_ALIGNED: usize = 2000;

/// The layers of both, each a diff ID and its blob, bottom first.
pub fn layers(
    before: &[(DiffId, &Descriptor)],
    after: &[(DiffId, &Descriptor)],
) -> Vec<LayerChange> {
    let ids = |of: &[(DiffId, &Descriptor)]| of.iter().map(|(id, _)| *id).collect::<Vec<_>>();
    let (first, second) = (ids(before), ids(after));
    let operations = match first.len().max(second.len()) > MOST_ALIGNED {
        true => at_the_ends(&first, &second),
        false => capture_diff_slices(Algorithm::Myers, &first, &second),
    };
    let one = |at: usize| LayerSide::new(at, before[at].0, before[at].1);
    let other = |at: usize| LayerSide::new(at, after[at].0, after[at].1);
    let mut changes = Vec::new();
    for operation in operations {
        let (old, new) = (operation.old_range(), operation.new_range());
        for at in 0..old.len().max(new.len()) {
            let before = old.clone().nth(at).map(one);
            let after = new.clone().nth(at).map(other);
            let state = match (&before, &after) {
                (Some(before), Some(after)) if before.diff_id != after.diff_id => {
                    LayerState::Changed
                }
                (Some(before), Some(after)) if before.digest != after.digest => {
                    LayerState::Recompressed
                }
                (Some(_), Some(_)) => LayerState::Same,
                (Some(_), None) => LayerState::Removed,
                (None, _) => LayerState::Added,
            };
            changes.push(LayerChange {
                state,
                before,
                after,
            });
        }
    }
    changes
}

fn at_the_ends(before: &[DiffId], after: &[DiffId]) -> Vec<DiffOp> {
    let equal = before
        .iter()
        .zip(after)
        .take_while(|(one, other)| one == other);
    let head = equal.count();
    vec![
        DiffOp::Equal {
            old_index: 0,
            new_index: 0,
            len: head,
        },
        DiffOp::Replace {
            old_index: head,
            old_len: before.len() - head,
            new_index: head,
            new_len: after.len() - head,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canon::Digest;

    #[test]
    fn layers_are_found_where_they_moved_to() {
        let blob = |name: &str| Descriptor::new("tar", Digest::of(name.as_bytes()), 1);
        let id = |name: &str| DiffId(Digest::of(name.as_bytes()));
        let blobs: Vec<_> = ["a", "b", "c", "d", "zstd"].map(blob).into();
        let before = [
            (id("a"), &blobs[0]),
            (id("b"), &blobs[1]),
            (id("c"), &blobs[2]),
        ];
        let after = [
            (id("new"), &blobs[3]),
            (id("a"), &blobs[0]),
            (id("other"), &blobs[3]),
            (id("c"), &blobs[4]),
        ];
        let states = |changes: Vec<LayerChange>| {
            changes
                .iter()
                .map(|change| change.state)
                .collect::<Vec<_>>()
        };
        use LayerState::{Added, Changed, Recompressed, Removed, Same};
        assert_eq!(
            states(layers(&before, &after)),
            [Added, Same, Changed, Recompressed]
        );
        assert_eq!(states(layers(&before, &before[..2])), [Same, Same, Removed]);
        assert_eq!(states(layers(&[], &before[..1])), [Added]);
    }
}
