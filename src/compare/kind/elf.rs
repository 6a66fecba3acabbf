//! Object files and programs, section by section.
//!
//! In: two ELF files. Out: what differs in their headers, their build IDs, dynamic symbols, and
//! sections, of which those made of strings are told string by string.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use object::read::elf::ElfFile;
use object::{Endianness, Object as _, ObjectSection as _, ObjectSymbol as _, elf};

use super::bytes::{self, hex};
use super::{Budget, Found, Odd, Pair, inside, shown};
use crate::compare::report::{Aspect, Detail, Finding};

/// Most strings and symbols that are told of each section.
const MOST_TOLD: usize = 40;
/// Most sections, and most symbols.
const MOST_SECTIONS: usize = 20_000;
const MOST_SYMBOLS: usize = 500_000;

pub(super) fn compare(pair: Pair, budget: &mut Budget) -> Result<Found, Odd> {
    const CLASS: usize = 4;
    match pair.map(|bytes| bytes.get(CLASS).copied()) {
        [Some(elf::ELFCLASS64), Some(elf::ELFCLASS64)] => {
            both::<elf::FileHeader64<Endianness>>(pair, budget)
        }
        [Some(elf::ELFCLASS32), Some(elf::ELFCLASS32)] => {
            both::<elf::FileHeader32<Endianness>>(pair, budget)
        }
        _ => Err(Odd::Other(
            "one of them is for another size of addresses".to_owned(),
        )),
    }
}

fn both<H: object::read::elf::FileHeader<Endian = Endianness>>(
    pair: Pair,
    budget: &mut Budget,
) -> Result<Found, Odd> {
    let read = |bytes| {
        let file = ElfFile::<H>::parse(bytes);
        file.map_err(|error| Odd::Other(format!("it is no sound ELF file: {error}")))
    };
    let files = [read(pair[0])?, read(pair[1])?];
    let mut found = Found::default();
    let [before, after] = &files;
    found.field("machine", machine(before), machine(after));
    found.field(
        "kind",
        format!("{:?}", before.kind()),
        format!("{:?}", after.kind()),
    );
    found.field(
        "entry",
        hex_number(before.entry()),
        hex_number(after.entry()),
    );
    let [id, other_id] = files.each_ref().map(|file| {
        let id = file.build_id().ok().flatten();
        id.map(hex)
    });
    found
        .details
        .extend(Aspect::new("build ID", id, other_id).map(Detail::Field));
    let [symbols, other_symbols] = files.each_ref().map(|file| {
        let symbols = file.dynamic_symbols().take(MOST_SYMBOLS);
        let names = symbols.filter_map(|symbol| symbol.name_bytes().ok().map(<[u8]>::to_vec));
        names.collect::<BTreeSet<_>>()
    });
    sets(&mut found, "dynamic symbol", &symbols, &other_symbols);
    let [sections, other_sections] = files.each_ref().map(sections);
    let mut places: BTreeMap<&[u8], VecDeque<&[u8]>> = BTreeMap::new();
    for (name, data) in &other_sections {
        places.entry(name).or_default().push_back(data);
    }
    let size = |data: &[u8]| Some(format!("{} bytes", data.len()));
    for (name, data) in &sections {
        let title = shown(name);
        let Some(other) = places.get_mut(name).and_then(VecDeque::pop_front) else {
            let alone = Aspect::new(format!("section {title}"), size(data), None);
            found.details.extend(alone.map(Detail::Field));
            continue;
        };
        let told = section(title, name, [data, other], budget)?;
        found.inside.extend(told);
    }
    for (name, rest) in places {
        let what = format!("section {}", shown(name));
        let alone = rest
            .into_iter()
            .filter_map(|data| Aspect::new(what.clone(), None, size(data)));
        found.details.extend(alone.map(Detail::Field));
    }
    Ok(found)
}

fn machine<'a, H: object::read::elf::FileHeader>(file: &ElfFile<'a, H>) -> String {
    format!("{:?}", file.architecture())
}

fn hex_number(number: u64) -> String {
    format!("{number:#x}")
}

fn sections<'a, H: object::read::elf::FileHeader<Endian = Endianness>>(
    file: &ElfFile<'a, H>,
) -> Vec<(&'a [u8], &'a [u8])> {
    let sections = file.sections().take(MOST_SECTIONS);
    let each = sections.filter_map(|section| {
        let name = section.name_bytes().ok()?;
        Some((name, section.data().ok()?))
    });
    each.collect()
}

fn section(
    title: String,
    name: &[u8],
    pair: Pair,
    budget: &mut Budget,
) -> Result<Option<Finding>, Odd> {
    // Sections may lie on each other, and many of them on one large one.
    budget.take((pair[0].len() + pair[1].len()) as u64)?;
    if pair[0] == pair[1] {
        return Ok(None);
    }
    budget.member()?;
    let are_strings = matches!(
        name,
        b".comment"
            | b".dynstr"
            | b".strtab"
            | b".shstrtab"
            | b".rodata"
            | b".interp"
            | b".debug_str"
            | b".debug_line_str"
    );
    if !are_strings {
        return Ok(inside(title, b"", pair, budget));
    }
    let mut found = bytes::compare(pair);
    let [before, after] = pair.map(strings);
    sets(&mut found, "string", &before, &after);
    Ok(Some(Finding {
        kind: super::Kind::Bytes,
        name: Some(title),
        details: found.details,
        inside: found.inside,
    }))
}

/// What reads as text in a section: four visible characters or more.
fn strings(bytes: &[u8]) -> BTreeSet<Vec<u8>> {
    const SHORTEST: usize = 4;
    let is_visible = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
    let runs = bytes.split(|byte| !is_visible(byte));
    runs.filter(|run| run.len() >= SHORTEST)
        .map(<[u8]>::to_vec)
        .collect()
}

fn sets(found: &mut Found, what: &str, before: &BTreeSet<Vec<u8>>, after: &BTreeSet<Vec<u8>>) {
    let mut told = 0;
    let mut tell = |name: &Vec<u8>, is_before: bool| {
        told += 1;
        if told <= MOST_TOLD {
            let name = Some(shown(name));
            let (before, after) = if is_before {
                (name, None)
            } else {
                (None, name)
            };
            found
                .details
                .extend(Aspect::new(what, before, after).map(Detail::Field));
        }
    };
    before.difference(after).for_each(|name| tell(name, true));
    after.difference(before).for_each(|name| tell(name, false));
    if told > MOST_TOLD {
        found.note(format!("{} more: {what}", told - MOST_TOLD));
    }
}
