//! The filter: rules to a program for the kernel. Pure.
//!
//! In: [`Rule`]s: which calls, with which arguments, are denied or handed to cairn. Out: words of
//! BPF. What no rule names is allowed or handed over, except calls that are newer than cairn's table and those of
//! other architectures (x32 on x86_64): they don't exist (ENOSYS), so that libc falls back to what
//! is known. To 32-bit programs the same rules apply by the numbers that they have for the calls, if
//! they may run at all.
//!
//! The number alone leads to the action wherever it can: the kernel then remembers per number that
//! a call is allowed, and doesn't run the filter at all (since Linux 5.11).

use std::collections::BTreeMap;

use super::bpf::{Assembler, Error, Label, Test, Word};
use super::call::{ARCHITECTURE, ARCHITECTURE_OF_32_BITS, Call, HIGHEST};

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The kernel carries it out.
    Allow,
    /// It fails with this number (`libc::EPERM`).
    Deny(i32),
    /// The supervisor answers it.
    Notify,
}

/// What an argument must be. Only its low 32 bits are looked at: all that are tested are ints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Which one, from 0 to 5.
    pub argument: u8,
    /// The bits that are looked at.
    pub mask: u32,
    /// What they must be.
    pub is: Is,
}

/// What bits must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Is {
    /// Any of them is set.
    Set,
    /// One of these.
    OneOf(Vec<u32>),
    /// None of these.
    NoneOf(Vec<u32>),
}

/// An action for a call whose arguments meet all conditions. Of several rules for a call the first
/// that holds counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Which call.
    pub call: Call,
    /// What its arguments must be; nothing if it is empty.
    pub when: Vec<Condition>,
    /// What becomes of it.
    pub action: Action,
}

impl Rule {
    /// `action` for every `call`.
    pub fn always(call: Call, action: Action) -> Rule {
        Rule {
            call,
            when: Vec::new(),
            action,
        }
    }

    /// `action` for a `call` with such an argument.
    pub fn when(call: Call, argument: u8, mask: u32, is: Is, action: Action) -> Rule {
        let when = vec![Condition { argument, mask, is }];
        Rule { call, when, action }
    }

    /// Whether a call with such arguments meets all conditions.
    pub fn holds(&self, arguments: &[u64; 6]) -> bool {
        self.when.iter().all(|condition| {
            let argument = arguments.get(usize::from(condition.argument));
            let bits = (argument.copied().unwrap_or(0) & 0xffff_ffff) as u32 & condition.mask;
            match &condition.is {
                Is::Set => bits != 0,
                Is::OneOf(values) => values.contains(&bits),
                Is::NoneOf(values) => !values.contains(&bits),
            }
        })
    }
}

impl Action {
    fn word(self) -> u32 {
        match self {
            Action::Allow => libc::SECCOMP_RET_ALLOW,
            Action::Deny(error) => {
                libc::SECCOMP_RET_ERRNO | u32::try_from(error).unwrap_or(1) & 0xffff
            }
            Action::Notify => libc::SECCOMP_RET_USER_NOTIF,
        }
    }
}

/// Which programs run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    /// Those of this machine's own architecture.
    Own,
    /// Those of 32 bits, too, where the machine has them.
    Of32Bits,
}

/// The program that carries `rules` out, and `otherwise` for what none of them holds for.
pub fn program(rules: &[Rule], programs: Programs, otherwise: Action) -> Result<Vec<Word>, Error> {
    let mut assembler = Assembler::default();
    let [ours, others, missing] = [(); 3].map(|()| assembler.label());
    assembler.load(4); // arch
    assembler.branch(Test::Equal, ARCHITECTURE, ours, others);
    assembler.place(ours);
    calls(&mut assembler, rules, Call::number, missing, otherwise);
    assembler.place(others);
    if let (Some(architecture), Programs::Of32Bits) = (ARCHITECTURE_OF_32_BITS, programs) {
        let of_32_bits = assembler.label();
        assembler.branch(Test::Equal, architecture, of_32_bits, missing);
        assembler.place(of_32_bits);
        let number = Call::number_of_32_bits;
        calls(&mut assembler, rules, number, missing, otherwise);
    }
    assembler.place(missing);
    assembler.give(Action::Deny(libc::ENOSYS).word());
    assembler.assemble()
}

/// The calls of one architecture, which has them by such numbers.
fn calls(
    assembler: &mut Assembler,
    rules: &[Rule],
    number: fn(Call) -> Option<u32>,
    missing: Label,
    otherwise: Action,
) {
    let mut by_number: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
    for rule in rules {
        if let Some(number) = number(rule.call) {
            by_number.entry(number).or_default().push(rule);
        }
    }
    let [known, rest] = [(); 2].map(|()| assembler.label());
    assembler.load(0); // nr
    assembler.branch(Test::AtLeast, HIGHEST + 1, missing, known);
    assembler.place(known);
    let mut bodies = Vec::new();
    let numbers: Vec<u32> = by_number.keys().copied().collect();
    search(assembler, &numbers, rest, &mut bodies);
    for (number, label) in bodies {
        assembler.place(label);
        body(assembler, &by_number[&number], rest);
    }
    assembler.place(rest);
    assembler.give(otherwise.word());
}

/// Finds the number in the accumulator among `numbers`, by halves; what is found goes on at a
/// label of `bodies`.
fn search(
    assembler: &mut Assembler,
    numbers: &[u32],
    otherwise: Label,
    bodies: &mut Vec<(u32, Label)>,
) {
    match numbers {
        [] => assembler.jump(otherwise),
        [number] => {
            let found = assembler.label();
            assembler.branch(Test::Equal, *number, found, otherwise);
            bodies.push((*number, found));
        }
        _ => {
            let (low, high) = numbers.split_at(numbers.len() / 2);
            let [upper, lower] = [(); 2].map(|()| assembler.label());
            assembler.branch(Test::AtLeast, high[0], upper, lower);
            assembler.place(lower);
            search(assembler, low, otherwise, bodies);
            assembler.place(upper);
            search(assembler, high, otherwise, bodies);
        }
    }
}

/// The rules of one call, one after another.
fn body(assembler: &mut Assembler, rules: &[&Rule], otherwise: Label) {
    for rule in rules {
        let fails = assembler.label();
        for condition in &rule.when {
            // The low half of an argument, on little-endian machines.
            assembler.load(16 + 8 * u32::from(condition.argument));
            let holds = assembler.label();
            match &condition.is {
                Is::Set => assembler.branch(Test::AnyBit, condition.mask, holds, fails),
                Is::OneOf(values) => {
                    assembler.and(condition.mask);
                    for value in values {
                        let next = assembler.label();
                        assembler.branch(Test::Equal, *value, holds, next);
                        assembler.place(next);
                    }
                    assembler.jump(fails);
                }
                Is::NoneOf(values) => {
                    assembler.and(condition.mask);
                    for value in values {
                        let next = assembler.label();
                        assembler.branch(Test::Equal, *value, fails, next);
                        assembler.place(next);
                    }
                }
            }
            assembler.place(holds);
        }
        assembler.give(rule.action.word());
        assembler.place(fails);
    }
    assembler.jump(otherwise);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::notify::bpf::tests::run;

    fn data(architecture: u32, number: u32, arguments: [u64; 6]) -> [u32; 16] {
        let mut data = [0; 16];
        data[0] = number;
        data[1] = architecture;
        for (at, argument) in arguments.into_iter().enumerate() {
            data[4 + 2 * at] = (argument & 0xffff_ffff) as u32;
            data[5 + 2 * at] = (argument >> 32) as u32;
        }
        data
    }

    fn answer(rules: &[Rule], call: Call, arguments: [u64; 6]) -> u32 {
        let number = call.number().unwrap();
        let program = program(rules, Programs::Own, Action::Allow).unwrap();
        run(&program, &data(ARCHITECTURE, number, arguments))
    }

    #[test]
    fn every_call_finds_its_own_rule() {
        let mut errors = 1..;
        let rules: Vec<Rule> = Call::ALL
            .iter()
            .map(|call| Rule::always(*call, Action::Deny(errors.next().unwrap())))
            .collect();
        for otherwise in [Action::Allow, Action::Notify] {
            let program = program(&rules, Programs::Of32Bits, otherwise).unwrap();
            let own = (ARCHITECTURE, Call::number as fn(Call) -> Option<u32>);
            let of_32_bits = ARCHITECTURE_OF_32_BITS.map(|it| (it, Call::number_of_32_bits as _));
            for (architecture, of) in [Some(own), of_32_bits].into_iter().flatten() {
                for number in 0..=HIGHEST {
                    let rule = rules.iter().find(|rule| of(rule.call) == Some(number));
                    let expected = rule.map_or(otherwise, |rule| rule.action);
                    let got = run(&program, &data(architecture, number, [0; 6]));
                    assert_eq!(got, expected.word(), "{architecture:#x} {number}");
                }
            }
        }
    }

    #[test]
    fn what_is_foreign_or_newer_does_not_exist() {
        let rules = [Rule::always(Call::Acct, Action::Deny(1))];
        let [own, all] = [Programs::Own, Programs::Of32Bits]
            .map(|programs| program(&rules, programs, Action::Allow).unwrap());
        let missing = Action::Deny(libc::ENOSYS).word();
        for (program, architecture, number) in [
            (&own, 0x4000_0003, 3),
            (&all, 0x4000_0028, 3),
            (&all, 0x4000_0003, HIGHEST + 1),
            (&all, ARCHITECTURE, HIGHEST + 1),
            (&all, ARCHITECTURE, 0x4000_0000),
            (&all, ARCHITECTURE, u32::MAX),
        ] {
            let got = run(program, &data(architecture, number, [0; 6]));
            assert_eq!(got, missing, "{architecture:#x} {number}");
        }
    }

    #[test]
    fn conditions_look_at_arguments() {
        let deny = Action::Deny(1);
        let rules = [
            Rule::when(Call::Clone, 0, 0x7e02_0000, Is::Set, deny),
            Rule::when(Call::Ioctl, 1, !0, Is::OneOf(vec![5, 6]), deny),
            Rule::when(Call::Personality, 0, !0, Is::NoneOf(vec![0, 8]), deny),
            Rule {
                when: vec![
                    Condition {
                        argument: 1,
                        mask: !0,
                        is: Is::OneOf(vec![1]),
                    },
                    Condition {
                        argument: 2,
                        mask: 0xf0,
                        is: Is::OneOf(vec![0x10]),
                    },
                ],
                ..Rule::always(Call::Getsockopt, Action::Notify)
            },
            Rule::when(Call::Getsockopt, 5, 1, Is::Set, deny),
        ];
        let allow = Action::Allow;
        for (call, arguments, expected) in [
            (Call::Clone, [0x11, 0, 0, 0, 0, 0], allow),
            (Call::Clone, [0x1000_0011, 0, 0, 0, 0, 0], deny),
            (Call::Clone, [0x10_0000_0000, 0, 0, 0, 0, 0], allow),
            (Call::Ioctl, [0, 4, 0, 0, 0, 0], allow),
            (Call::Ioctl, [0, 5, 0, 0, 0, 0], deny),
            (Call::Ioctl, [0, 0x1_0000_0006, 0, 0, 0, 0], deny),
            (Call::Personality, [8, 0, 0, 0, 0, 0], allow),
            (Call::Personality, [9, 0, 0, 0, 0, 0], deny),
            (Call::Getsockopt, [0, 1, 0x1f, 0, 0, 0], Action::Notify),
            (Call::Getsockopt, [0, 1, 0x2f, 0, 0, 0], allow),
            (Call::Getsockopt, [0, 2, 0x1f, 0, 0, 1], deny),
            (Call::Acct, [0; 6], allow),
        ] {
            let got = answer(&rules, call, arguments);
            assert_eq!(got, expected.word(), "{call:?} {arguments:x?}");
            let mut rules = rules.iter().filter(|rule| rule.call == call);
            let rule = rules.find(|rule| rule.holds(&arguments));
            assert_eq!(rule.map_or(allow, |rule| rule.action), expected);
        }
    }
}
