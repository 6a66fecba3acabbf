//! The host name of every step, where the kernel keeps cairn from setting it: whoever asks is told
//! the same one.
//!
//! In: uname(2). Out: what the kernel would say, with that name.

use super::call::Call;
use super::filter::{Action, Rule};
use super::{Answer, Caller, Handler};
use rustix::io::Errno;

/// Bytes of each text of the answer, its end included.
const LENGTH: usize = 65;
/// Of personality(2): whoever has it is told of a machine of 32 bits (`PER_LINUX32`).
const OF_32_BITS: u32 = 8;

/// Answers uname(2) with this name.
#[derive(Debug)]
pub struct HostName(pub String);

impl Handler for HostName {
    fn rules() -> Vec<Rule> {
        vec![Rule::always(Call::Uname, Action::Notify)]
    }

    fn answer(&mut self, _: Call, caller: &Caller<'_>) -> Answer {
        let told = personality(caller).and_then(|personality| {
            let answer = answer(&self.0, personality & 0xff == OF_32_BITS);
            caller.write(caller.argument(0), &answer)
        });
        Answer::from(told.map(|()| Answer::Value(0)))
    }
}

fn personality(caller: &Caller<'_>) -> Result<u32, Errno> {
    let text = std::fs::read_to_string(format!("/proc/{}/personality", caller.pid()));
    let text = text.map_err(|_| Errno::SRCH)?;
    caller.check()?;
    u32::from_str_radix(text.trim(), 16).map_err(|_| Errno::SRCH)
}

/// `struct new_utsname`.
fn answer(name: &str, of_32_bits: bool) -> Vec<u8> {
    let uname = rustix::system::uname();
    let machine = match (of_32_bits, std::env::consts::ARCH) {
        (true, "x86_64") => b"i686",
        (true, "aarch64") => b"armv8l".as_slice(),
        _ => uname.machine().to_bytes(),
    };
    let texts = [
        uname.sysname().to_bytes(),
        name.as_bytes(),
        uname.release().to_bytes(),
        uname.version().to_bytes(),
        machine,
        b"(none)",
    ];
    let padded = texts.iter().flat_map(|text| {
        let text = text.iter().take(LENGTH - 1).copied();
        text.chain(std::iter::repeat(0)).take(LENGTH)
    });
    padded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_the_kernels_form() {
        let answer = answer("cairn", false);
        assert_eq!(answer.len(), size_of::<libc::utsname>());
        let texts: Vec<_> = answer.chunks(LENGTH).map(|text| text.to_vec()).collect();
        assert!(texts[0].starts_with(b"Linux\0"));
        assert!(texts[1].starts_with(b"cairn\0"));
        assert_eq!(texts[5][..7], *b"(none)\0");
        assert_ne!(
            texts[4],
            super::answer("cairn", true)[4 * LENGTH..5 * LENGTH]
        );
    }
}
