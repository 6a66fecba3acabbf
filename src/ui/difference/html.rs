//! A comparison as one page for a browser.
//!
//! In: a report. Out: HTML that is also well-formed XML, so that whatever reads either can check
//! it. It runs no script, asks for nothing (its own policy forbids it), has the colours that the
//! reader prefers, and says with words and signs what colours say.

use std::fmt::Write as _;

use super::{Told, alone, aspect, line, path, side, summary, told};
use crate::compare::{Aspect, Detail, EntryChange, Finding, LayerSide, Report, Sign};
use crate::ui::{printable, table};

/// Most entries that are on the page.
const MOST_ENTRIES: usize = 20_000;
/// Entries of an added or removed directory that have rows of their own.
const MOST_BELOW: usize = 200;

const STYLE: &str = "
:root { color-scheme: light dark; --add: #1a7f37; --del: #b42318; --line: #8884; --soft: #8881 }
@media (prefers-color-scheme: dark) { :root { --add: #5fd07f; --del: #ff8f84 } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 }
th, td { text-align: left; vertical-align: top; padding: .2rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere }
code, pre, td, summary { font-family: ui-monospace, monospace; font-size: 13px }
pre { background: var(--soft); padding: .5rem; overflow-x: auto; margin: .3rem 0 }
details { border-bottom: 1px solid var(--line); padding: .2rem 0 }
details details, details ul { margin-left: 1.2rem }
ul { list-style: none; padding: 0 }
ins, .added { color: var(--add); text-decoration: none }
del, .removed { color: var(--del); text-decoration: none }
";

/// The page.
pub fn html(report: &Report) -> String {
    let mut page = Page(String::new());
    page.add("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n");
    page.add("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n");
    page.add("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\" />\n");
    let names = format!(
        "{} and {}",
        line(&report.before.name),
        line(&report.after.name)
    );
    page.element("title", "", &format!("What differs between {names}"));
    let _ = write!(page.0, "<style>{STYLE}</style>\n</head>\n<body>\n<main>\n");
    let verdict = report.verdict.words();
    page.element("h1", "", &format!("{verdict}: {names}"));
    page.add("<table>\n<tbody>\n");
    for (name, of) in [("A", &report.before), ("B", &report.after)] {
        page.add("<tr>");
        page.element("th", " scope=\"row\"", name);
        page.element("td", "", &side(of));
        page.add("</tr>\n");
    }
    page.add("</tbody>\n</table>\n");
    page.element(
        "p",
        "",
        summary(report).as_deref().unwrap_or("Nothing differs."),
    );
    page.fields(report);
    page.layers(report);
    page.entries(&report.entries);
    page.add("</main>\n</body>\n</html>\n");
    page.0
}

struct Page(String);

impl Page {
    /// Markup.
    fn add(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Text, escaped.
    fn text(&mut self, text: &str) {
        for character in printable(text).chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                // What neither XML nor HTML may hold, whatever it is escaped as.
                c if is_no_character(c) => {
                    let _ = write!(self.0, "{}", c.escape_unicode());
                }
                c => self.0.push(c),
            }
        }
    }

    fn element(&mut self, name: &str, attributes: &str, text: &str) {
        let _ = write!(self.0, "<{name}{attributes}>");
        self.text(text);
        let _ = write!(self.0, "</{name}>");
    }

    fn head(&mut self, columns: &[&str]) {
        self.add("<thead><tr>");
        for column in columns {
            self.element("th", " scope=\"col\"", column);
        }
        self.add("</tr></thead>\n<tbody>\n");
    }

    fn fields(&mut self, report: &Report) {
        if report.fields.is_empty() {
            return;
        }
        self.add("<h2>Documents</h2>\n<table>\n");
        self.head(&["Field", "A", "B"]);
        for field in &report.fields {
            self.add("<tr>");
            self.element("th", " scope=\"row\"", &line(&field.what));
            for value in [&field.before, &field.after] {
                self.element("td", "", &value.as_deref().map(line).unwrap_or_default());
            }
            self.add("</tr>\n");
        }
        self.add("</tbody>\n</table>\n");
    }

    fn layers(&mut self, report: &Report) {
        if report.layers.is_empty() {
            return;
        }
        self.add("<h2>Layers</h2>\n<table>\n");
        self.head(&["Layer", "A", "B"]);
        let said = |side: &Option<LayerSide>| {
            let side = side.as_ref();
            side.map(|side| {
                format!(
                    "#{} {} {}",
                    side.number,
                    side.digest.short(),
                    table::size(side.size)
                )
            })
        };
        for layer in &report.layers {
            self.add("<tr>");
            self.element("th", " scope=\"row\"", layer.state.name());
            self.element("td", "", &said(&layer.before).unwrap_or_default());
            self.element("td", "", &said(&layer.after).unwrap_or_default());
            self.add("</tr>\n");
        }
        self.add("</tbody>\n</table>\n");
    }

    fn entries(&mut self, entries: &[EntryChange]) {
        if entries.is_empty() {
            return;
        }
        self.add("<h2>Paths</h2>\n");
        let told = told(entries, MOST_BELOW);
        for told in told.iter().take(MOST_ENTRIES) {
            match told {
                Told::Entry(entry) => self.entry(entry, None),
                Told::Subtree(entry, below) => self.entry(entry, Some(*below)),
            }
        }
        if told.len() > MOST_ENTRIES {
            let text = format!(
                "{} paths more are not on this page.",
                told.len() - MOST_ENTRIES
            );
            self.element("p", "", &text);
        }
    }

    fn entry(&mut self, entry: &EntryChange, below: Option<usize>) {
        let change = entry.change();
        let _ = write!(
            self.0,
            "<details><summary><span class=\"{change}\">{change}</span> "
        );
        self.text(&path(&entry.path));
        if let Some(below) = below {
            self.text(&format!(", and {below} below"));
        }
        if change != "changed" {
            self.text(&format!("  {}", alone(entry)));
        }
        self.add("</summary>\n<ul>\n");
        for each in entry.aspects() {
            match change {
                "changed" => self.element("li", "", &aspect(&each)),
                _ => {
                    let value = each.before.or(each.after).unwrap_or_default();
                    self.element("li", "", &format!("{} {}", line(&each.what), line(&value)));
                }
            }
        }
        self.add("</ul>\n");
        if let Some(finding) = &entry.content {
            self.finding(finding);
        }
        self.add("</details>\n");
    }

    fn finding(&mut self, finding: &Finding) {
        for detail in &finding.details {
            match detail {
                Detail::Field(Aspect {
                    what,
                    before,
                    after,
                }) => {
                    self.add("<p>");
                    self.text(&line(what));
                    for (element, value) in [("del", before), ("ins", after)] {
                        if let Some(value) = value {
                            self.add(" ");
                            let sign = if element == "del" { '-' } else { '+' };
                            self.element(
                                element,
                                "",
                                &format!("{sign}{}", super::shown(what, value)),
                            );
                        }
                    }
                    self.add("</p>\n");
                }
                Detail::Lines {
                    before,
                    after,
                    lines,
                } => {
                    self.add("<pre>");
                    self.text(&format!("@@ -{before} +{after} @@\n"));
                    for each in lines {
                        let element = match each.sign {
                            Sign::Both => "span",
                            Sign::Before => "del",
                            Sign::After => "ins",
                        };
                        let sign = each.sign.character();
                        self.element(element, "", &format!("{sign}{}", each.text));
                        self.add("\n");
                    }
                    self.add("</pre>\n");
                }
                Detail::Bytes {
                    offset,
                    before,
                    after,
                } => {
                    self.add("<pre>");
                    self.text(&format!("byte {offset}\n"));
                    self.element("del", "", &format!("-{before}"));
                    self.add("\n");
                    self.element("ins", "", &format!("+{after}"));
                    self.add("</pre>\n");
                }
                Detail::Note(text) => self.element("p", "", &line(text)),
            }
        }
        for part in &finding.inside {
            self.add("<details open=\"\"><summary>");
            self.text(&part.name.as_deref().map(line).unwrap_or_default());
            self.add("</summary>\n");
            self.finding(part);
            self.add("</details>\n");
        }
    }
}

/// Unicode's noncharacters (The Unicode Standard, section 23.7).
fn is_no_character(c: char) -> bool {
    let code = u32::from(c);
    code & 0xfffe == 0xfffe || (0xfdd0..=0xfdef).contains(&code)
}
