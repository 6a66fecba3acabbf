//! What moved from one lock to another, as it is shown.
//!
//! In: a difference, the store. Out: a line for each thing that moved; of images also how many
//! layers and which packages changed, as far as the store has both.

use std::collections::BTreeSet;

use crate::build::Settings;
use crate::canon::Platform;
use crate::image::Descriptor;
use crate::image::manifest::media_type;
use crate::inputs::{BaseImage, installed};
use crate::lock::Image;
use crate::lock::difference::{How, Moved, Packages, shortened};
use crate::store::Store;

/// A line for each of `moved`.
pub fn words(moved: &[Moved], settings: &Settings) -> String {
    let lines = moved.iter().map(|moved| match &moved.how {
        How::Added => format!("+ {}\n", moved.what),
        How::Removed => format!("- {}\n", moved.what),
        How::Changed(how) => format!("{}: {how}\n", moved.what),
        How::Image(platform, before, after) => {
            let how = image(platform, [before, after], settings);
            format!("{}: {how}\n", moved.what)
        }
    });
    lines.collect()
}

fn image(platform: &Platform, [before, after]: [&Image; 2], settings: &Settings) -> String {
    let digests = format!(
        "{}→{}",
        shortened(&before.named()),
        shortened(&after.named())
    );
    let store = &settings.store;
    let had = |image| had(image, platform, store);
    let (Some(old), Some(new)) = (had(before), had(after)) else {
        return digests;
    };
    if old.descriptor.digest == new.descriptor.digest {
        return format!("{digests}; the same image for this platform");
    }
    let of = |image: &BaseImage| {
        let layers = image.stack.layers().iter().map(|layer| layer.diff_id);
        layers.collect::<BTreeSet<_>>()
    };
    let (had, has) = (of(&old), of(&new));
    let changed = has.difference(&had).count();
    let noun = if changed == 1 { "layer" } else { "layers" };
    let packages = |image: &BaseImage| installed::packages(&image.stack, store, settings.expansion);
    let packages = Packages::new(&packages(&old), &packages(&new));
    match packages.changes.is_empty() {
        true => format!("{digests}; {changed} {noun} changed"),
        false => format!("{digests}; {changed} {noun} changed; {packages}"),
    }
}

/// The image, if the store has it.
fn had(image: &Image, platform: &Platform, store: &Store) -> Option<BaseImage> {
    let blob = store.blob(&image.manifest)?;
    let descriptor = Descriptor::new(media_type::MANIFEST, blob.digest, blob.size);
    BaseImage::read(store, &descriptor, platform).ok()
}
