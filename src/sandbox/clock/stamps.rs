//! Times that the kernel puts beside what comes by a socket: refused, as they are the machine's. Pure.
//!
//! Out: [`Rule`]s. Who asks for such times reads the clock where there are none, as `ping` does.

use crate::sandbox::notify::call::Call;
use crate::sandbox::notify::filter::{Action, Condition, Is, Rule};

/// `SOL_SOCKET`.
const SOCKET: u32 = 1;
/// What setsockopt(2) asks for them by: `SO_TIMESTAMP`, `SO_TIMESTAMPNS`, `SO_TIMESTAMPING`; and the same
/// of 64 bits.
const OPTIONS: [u32; 6] = [29, 35, 37, 63, 64, 65];
/// The number of setsockopt(2) in `socketcall`, whose other arguments are in memory, out of a filter's
/// sight.
const OLD: u32 = 14;
/// Requests of ioctl(2) for the time of what came last: `SIOCGSTAMP`, `SIOCGSTAMPNS`; and the same of 64
/// bits.
const LAST: [u32; 4] = [0x8906, 0x8907, 0x8010_8906, 0x8010_8907];

/// What is refused.
pub fn rules() -> [Rule; 3] {
    let is = |argument, values: &[u32]| Condition {
        argument,
        mask: !0,
        is: Is::OneOf(values.to_vec()),
    };
    let rule = |call, when: &[Condition], error| Rule {
        call,
        when: when.to_vec(),
        action: Action::Deny(error),
    };
    let option = [is(1, &[SOCKET]), is(2, &OPTIONS)];
    [
        rule(Call::Setsockopt, &option, libc::ENOPROTOOPT),
        rule(Call::Socketcall, &[is(0, &[OLD])], libc::ENOSYS),
        // As where nobody has asked for times yet.
        rule(Call::Ioctl, &[is(1, &LAST)], libc::ENOENT),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_the_headers() {
        let known = [
            libc::SO_TIMESTAMP,
            libc::SO_TIMESTAMPNS,
            libc::SO_TIMESTAMPING,
        ];
        assert_eq!(OPTIONS[..3], known.map(i32::cast_unsigned));
        assert_eq!(SOCKET, libc::SOL_SOCKET.cast_unsigned());
        // A direction and a length before what the older ones are, letter and number.
        let of_64_bits = [0x06, 0x07].map(|number| 2 << 30 | 16 << 16 | 0x89 << 8 | number);
        assert_eq!(LAST[2..], of_64_bits);
    }
}
