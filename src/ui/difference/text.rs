//! A comparison for a terminal.
//!
//! In: a report, and whether there are colours. Out: lines: a summary, fields, layers, paths. Of
//! many paths of which only the same metadata differs, the first stand for all.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{Told, alone, aspect, line, metadata_alone, path, side, summary, told};
use crate::compare::{Aspect, Detail, EntryChange, Finding, LayerChange, LayerState, Report, Sign};
use crate::ui::{printable, table};

/// Paths that are told one by one, though only metadata differs.
const MOST_ALIKE: usize = 10;
/// Entries of an added or removed directory that are told one by one.
const MOST_BELOW: usize = 10;

/// The lines.
pub fn text(report: &Report, colour: bool) -> String {
    let mut out = Out {
        text: String::new(),
        colour,
    };
    out.line(0, '-', &format!("A  {}", side(&report.before)));
    out.line(0, '+', &format!("B  {}", side(&report.after)));
    let mut verdict = report.verdict.words().to_owned();
    if !report.paths.is_empty() {
        let paths = report.paths.iter().map(path).collect::<Vec<_>>();
        verdict.push_str(&format!(" in {}", paths.join(", ")));
    }
    match summary(report) {
        Some(summary) => out.line(0, ' ', &format!("{verdict}: {summary}")),
        None => out.line(0, ' ', &verdict),
    }
    if !report.fields.is_empty() {
        out.head("documents");
        for field in &report.fields {
            out.line(2, ' ', &aspect(field));
        }
    }
    if report
        .layers
        .iter()
        .any(|layer| layer.state != LayerState::Same)
    {
        out.head("layers");
        for layer in &report.layers {
            let sign = match layer.state {
                LayerState::Same => ' ',
                LayerState::Removed => '-',
                LayerState::Added => '+',
                LayerState::Changed | LayerState::Recompressed => '~',
            };
            out.line(2, sign, &layer_line(layer));
        }
    }
    if !report.entries.is_empty() {
        out.head("paths");
        out.entries(&report.entries);
    }
    out.text
}

fn layer_line(layer: &LayerChange) -> String {
    let number = layer.before.as_ref().or(layer.after.as_ref());
    let number = number.map_or(0, |side| side.number);
    let both = [&layer.before, &layer.after].map(|side| {
        side.as_ref()
            .map(|side| format!("{} {}", side.digest.short(), table::size(side.size)))
    });
    let state = layer.state.name();
    let blobs = match both {
        [Some(one), Some(other)] if one == other => one,
        [Some(one), Some(other)] => format!("{one} → {other}"),
        [one, other] => one.or(other).unwrap_or_default(),
    };
    format!("#{number} {state}  {blobs}")
}

struct Out {
    text: String,
    colour: bool,
}

impl Out {
    /// A line after its sign; a space stands for none.
    fn line(&mut self, indent: usize, sign: char, text: &str) {
        let colour = match sign {
            '-' => "\x1b[31m",
            '+' => "\x1b[32m",
            '~' => "\x1b[33m",
            '@' => "\x1b[36m",
            _ => "",
        };
        let (begin, end) = match self.colour && !colour.is_empty() {
            true => (colour, "\x1b[0m"),
            false => ("", ""),
        };
        // At the left the words say which of the two it is.
        let sign = match (indent, sign) {
            (0, _) => String::new(),
            (_, '@') => String::new(),
            (_, sign) => format!("{sign} "),
        };
        let text = format!("{sign}{text}");
        // Writing to a String can't fail.
        let _ = writeln!(self.text, "{:indent$}{begin}{}{end}", "", text.trim_end());
    }

    fn head(&mut self, title: &str) {
        let (begin, end) = if self.colour {
            ("\x1b[1m", "\x1b[0m")
        } else {
            ("", "")
        };
        let _ = writeln!(self.text, "\n{begin}{title}{end}");
    }

    fn entries(&mut self, entries: &[EntryChange]) {
        let mut alike: BTreeMap<String, usize> = BTreeMap::new();
        for names in entries.iter().filter_map(metadata_alone) {
            *alike.entry(names).or_default() += 1;
        }
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for told in told(entries, MOST_BELOW) {
            let entry = match told {
                Told::Entry(entry) => entry,
                Told::Subtree(entry, below) => {
                    let sign = if entry.before.is_some() { '-' } else { '+' };
                    let name = path(&entry.path);
                    self.line(
                        2,
                        sign,
                        &format!("{name}  {}, and {below} below", alone(entry)),
                    );
                    continue;
                }
            };
            if let Some(names) = metadata_alone(entry)
                && alike[&names] > MOST_ALIKE
            {
                let seen = seen.entry(names).or_default();
                *seen += 1;
                if *seen > 3 {
                    continue;
                }
            }
            self.entry(entry);
        }
        for (names, all) in alike.iter().filter(|(_, all)| **all > MOST_ALIKE) {
            let text = format!("{} paths more, of which {names} alone differs", all - 3);
            self.line(2, '~', &text);
        }
    }

    fn entry(&mut self, entry: &EntryChange) {
        let name = path(&entry.path);
        match entry.change() {
            "added" => self.line(2, '+', &format!("{name}  {}", alone(entry))),
            "removed" => self.line(2, '-', &format!("{name}  {}", alone(entry))),
            _ => {
                let aspects = entry.aspects();
                let is_told = |aspect: &&Aspect| {
                    !(aspect.what == "sha256" && aspect.before.is_some() && entry.content.is_some())
                };
                let told: Vec<_> = aspects.iter().filter(is_told).map(aspect).collect();
                self.line(2, '~', &format!("{name}  {}", told.join(", ")));
            }
        }
        if let Some(finding) = &entry.content {
            self.finding(finding, 6);
        }
    }

    fn finding(&mut self, finding: &Finding, indent: usize) {
        for detail in &finding.details {
            match detail {
                Detail::Field(Aspect {
                    what,
                    before,
                    after,
                }) => {
                    let value = |value: &Option<String>| {
                        value.as_deref().map(|value| super::shown(what, value))
                    };
                    let what = line(what);
                    match (value(before), value(after)) {
                        (Some(before), None) => self.line(indent, '-', &format!("{what} {before}")),
                        (None, Some(after)) => self.line(indent, '+', &format!("{what} {after}")),
                        (before, after) => {
                            let [before, after] = [before, after].map(Option::unwrap_or_default);
                            self.line(indent, '~', &format!("{what} {before} → {after}"));
                        }
                    }
                }
                Detail::Lines {
                    before,
                    after,
                    lines,
                } => {
                    self.line(indent, '@', &format!("@@ -{before} +{after} @@"));
                    for each in lines {
                        let sign = each.sign.character();
                        self.text_line(
                            indent,
                            each.sign,
                            &format!("{sign}{}", printable(&each.text)),
                        );
                    }
                }
                Detail::Bytes {
                    offset,
                    before,
                    after,
                } => {
                    self.line(indent, '@', &format!("@ byte {offset} ({offset:#x})"));
                    for (sign, bytes) in [('-', before), ('+', after)] {
                        let bytes = if bytes.is_empty() { "(its end)" } else { bytes };
                        self.line(indent, sign, bytes);
                    }
                }
                Detail::Note(text) => self.line(indent, ' ', &format!("({})", line(text))),
            }
        }
        for part in &finding.inside {
            let name = part.name.as_deref().map(line).unwrap_or_default();
            self.line(indent, '~', &name);
            self.finding(part, indent + 2);
        }
    }

    fn text_line(&mut self, indent: usize, sign: Sign, text: &str) {
        let colour = match sign {
            _ if !self.colour => "",
            Sign::Both => "",
            Sign::Before => "\x1b[31m",
            Sign::After => "\x1b[32m",
        };
        let end = if colour.is_empty() { "" } else { "\x1b[0m" };
        let _ = writeln!(self.text, "{:indent$}{colour}{text}{end}", "");
    }
}
