//! An assembler of classic BPF, as far as seccomp takes it. Pure.
//!
//! In: instructions with labels. Out: the words of a program, for the kernel. What they mean:
//! `linux/filter.h`, and seccomp(2) for what is loaded from.

/// Most words of a program (`BPF_MAXINSNS`).
const LONGEST: usize = 4096;

/// A place in a program that is jumped to; [`Assembler::label`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label(usize);

/// What a jump asks of the accumulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// It is the value.
    Equal,
    /// It is at least the value, unsigned.
    AtLeast,
    /// It shares a bit with the value.
    AnyBit,
}

/// A word of a program, as `struct sock_filter` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Word {
    /// Operation.
    pub code: u16,
    /// Words that are skipped where the test holds.
    pub jt: u8,
    /// Words that are skipped where it doesn't.
    pub jf: u8,
    /// Its value.
    pub k: u32,
}

/// Why there is no program.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// A jump to a label that was never placed, or back.
    #[error("a filter jumps to a place that does not follow (a bug in cairn)")]
    Backwards,
    /// More than the kernel takes.
    #[error("a filter has {0} instructions, {LONGEST} is the most (a bug in cairn)")]
    TooLong(usize),
}

#[derive(Debug, Clone, Copy)]
enum Instruction {
    /// A word of the kernel's data into the accumulator.
    Load(u32),
    And(u32),
    Return(u32),
    Jump(Label),
    Branch {
        test: Test,
        value: u32,
        yes: Label,
        no: Label,
    },
}

/// Instructions in their order, and where the labels lie.
#[derive(Debug, Default)]
pub struct Assembler {
    instructions: Vec<Instruction>,
    /// By label: the instruction that it stands before.
    places: Vec<Option<usize>>,
}

impl Assembler {
    /// A label that is not yet placed.
    pub fn label(&mut self) -> Label {
        self.places.push(None);
        Label(self.places.len() - 1)
    }

    /// Places `label` before the next instruction.
    pub fn place(&mut self, label: Label) {
        if let Some(place) = self.places.get_mut(label.0) {
            *place = Some(self.instructions.len());
        }
    }

    /// The word at byte `offset` of `struct seccomp_data` into the accumulator.
    pub fn load(&mut self, offset: u32) {
        self.instructions.push(Instruction::Load(offset));
    }

    /// Clears the accumulator's bits that `mask` has not.
    pub fn and(&mut self, mask: u32) {
        self.instructions.push(Instruction::And(mask));
    }

    /// Ends with an action.
    pub fn give(&mut self, action: u32) {
        self.instructions.push(Instruction::Return(action));
    }

    /// Goes on at `label`.
    pub fn jump(&mut self, label: Label) {
        self.instructions.push(Instruction::Jump(label));
    }

    /// Goes on at one of two labels.
    pub fn branch(&mut self, test: Test, value: u32, yes: Label, no: Label) {
        self.instructions.push(Instruction::Branch {
            test,
            value,
            yes,
            no,
        });
    }

    /// The program's words.
    ///
    /// A branch reaches 255 words far. One that must reach farther gets a jump of its own for
    /// each side that does; that moves what is behind it, so it is looked at again until all fit.
    pub fn assemble(&self) -> Result<Vec<Word>, Error> {
        let mut far = vec![(false, false); self.instructions.len()];
        loop {
            let starts = self.starts(&far);
            let mut grew = false;
            for (at, instruction) in self.instructions.iter().enumerate() {
                let Instruction::Branch { yes, no, .. } = instruction else {
                    continue;
                };
                let (far_yes, far_no) = far[at];
                // From the branch itself, as the offset is counted from the word after it.
                let reach = |label| Ok::<_, Error>(self.target(&starts, label)? - starts[at] - 1);
                self.follows(at, *yes)?;
                self.follows(at, *no)?;
                let now = (far_yes || reach(*yes)? > 255, far_no || reach(*no)? > 255);
                grew |= now != far[at];
                far[at] = now;
            }
            if !grew {
                return self.words(&far, &starts);
            }
        }
    }

    /// The first word of each instruction, and the end.
    fn starts(&self, far: &[(bool, bool)]) -> Vec<usize> {
        let mut starts = vec![0];
        for (yes, no) in far {
            let last = starts[starts.len() - 1];
            starts.push(last + 1 + usize::from(*yes) + usize::from(*no));
        }
        starts
    }

    fn target(&self, starts: &[usize], label: Label) -> Result<usize, Error> {
        let place = self.places.get(label.0).copied().flatten();
        let start = place.filter(|place| *place < self.instructions.len());
        Ok(starts[start.ok_or(Error::Backwards)?])
    }

    fn follows(&self, at: usize, label: Label) -> Result<(), Error> {
        match self.places.get(label.0).copied().flatten() {
            Some(place) if place > at => Ok(()),
            _ => Err(Error::Backwards),
        }
    }

    fn words(&self, far: &[(bool, bool)], starts: &[usize]) -> Result<Vec<Word>, Error> {
        let word = |code: u32, k| Word {
            code: u16::try_from(code).unwrap_or(u16::MAX),
            jt: 0,
            jf: 0,
            k,
        };
        let ahead = |from: usize, to: usize| u32::try_from(to - from - 1).unwrap_or(u32::MAX);
        let short = |far: bool, own: usize, from: usize, to: usize| match far {
            true => u8::try_from(own).unwrap_or(u8::MAX),
            false => u8::try_from(to - from - 1).unwrap_or(u8::MAX),
        };
        let mut words = Vec::new();
        for (at, instruction) in self.instructions.iter().enumerate() {
            let here = starts[at];
            match *instruction {
                Instruction::Load(offset) => {
                    words.push(word(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset));
                }
                Instruction::And(mask) => {
                    words.push(word(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, mask));
                }
                Instruction::Return(action) => {
                    words.push(word(libc::BPF_RET | libc::BPF_K, action));
                }
                Instruction::Jump(label) => {
                    self.follows(at, label)?;
                    let to = self.target(starts, label)?;
                    words.push(word(libc::BPF_JMP | libc::BPF_JA, ahead(here, to)));
                }
                Instruction::Branch {
                    test,
                    value,
                    yes,
                    no,
                } => {
                    let test = match test {
                        Test::Equal => libc::BPF_JEQ,
                        Test::AtLeast => libc::BPF_JGE,
                        Test::AnyBit => libc::BPF_JSET,
                    };
                    let (far_yes, far_no) = far[at];
                    let (yes, no) = (self.target(starts, yes)?, self.target(starts, no)?);
                    words.push(Word {
                        jt: short(far_yes, 0, here, yes),
                        jf: short(far_no, usize::from(far_yes), here, no),
                        ..word(libc::BPF_JMP | test | libc::BPF_K, value)
                    });
                    if far_yes {
                        words.push(word(libc::BPF_JMP | libc::BPF_JA, ahead(here + 1, yes)));
                    }
                    if far_no {
                        let own = here + 1 + usize::from(far_yes);
                        words.push(word(libc::BPF_JMP | libc::BPF_JA, ahead(own, no)));
                    }
                }
            }
        }
        match words.len() > LONGEST {
            true => Err(Error::TooLong(words.len())),
            false => Ok(words),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What the kernel would answer to `data`, `struct seccomp_data` as words.
    pub(crate) fn run(program: &[Word], data: &[u32; 16]) -> u32 {
        let (mut at, mut accumulator) = (0, 0_u32);
        loop {
            let word = program[at];
            at += 1;
            let operand = word.k;
            let branch = |holds: bool| usize::from(if holds { word.jt } else { word.jf });
            match u32::from(word.code) {
                0x20 => accumulator = data[operand as usize / 4],
                0x54 => accumulator &= operand,
                0x06 => return operand,
                0x05 => at += operand as usize,
                0x15 => at += branch(accumulator == operand),
                0x35 => at += branch(accumulator >= operand),
                0x45 => at += branch(accumulator & operand != 0),
                code => panic!("no such instruction: {code:#x}"),
            }
        }
    }

    #[test]
    fn branches_reach_as_far_as_they_must() {
        for between in [0, 1, 254, 255, 256, 700] {
            let mut assembler = Assembler::default();
            let (yes, no) = (assembler.label(), assembler.label());
            assembler.load(0);
            assembler.branch(Test::Equal, 7, yes, no);
            for _ in 0..between {
                assembler.give(0);
            }
            assembler.place(yes);
            assembler.give(1);
            for _ in 0..between {
                assembler.give(0);
            }
            assembler.place(no);
            assembler.give(2);
            let program = assembler.assemble().unwrap();
            let mut data = [0; 16];
            assert_eq!(run(&program, &data), 2, "{between}");
            data[0] = 7;
            assert_eq!(run(&program, &data), 1, "{between}");
        }
    }

    #[test]
    fn jumps_and_masks_are_carried_out() {
        let mut assembler = Assembler::default();
        let (end, yes, no) = (assembler.label(), assembler.label(), assembler.label());
        assembler.load(4);
        assembler.and(0xf0);
        assembler.branch(Test::AtLeast, 0x20, yes, no);
        assembler.place(yes);
        assembler.jump(end);
        assembler.place(no);
        assembler.give(3);
        assembler.place(end);
        assembler.give(4);
        let program = assembler.assemble().unwrap();
        for (value, given) in [(0x1f, 3), (0x20, 4), (0x0f, 3), (0xff1f, 3)] {
            let mut data = [0; 16];
            data[1] = value;
            assert_eq!(run(&program, &data), given, "{value:#x}");
        }
    }

    #[test]
    fn loops_and_giants_are_refused() {
        let mut assembler = Assembler::default();
        let label = assembler.label();
        assembler.place(label);
        assembler.jump(label);
        assert_eq!(assembler.assemble(), Err(Error::Backwards));
        let mut assembler = Assembler::default();
        let label = assembler.label();
        assembler.branch(Test::Equal, 0, label, label);
        assert_eq!(assembler.assemble(), Err(Error::Backwards));
        let mut assembler = Assembler::default();
        for _ in 0..=LONGEST {
            assembler.give(0);
        }
        assert_eq!(assembler.assemble(), Err(Error::TooLong(LONGEST + 1)));
    }
}
