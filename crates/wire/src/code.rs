//! The one-time code that a kit enrols with: 28 characters in groups of four, to be read out and typed.
//!
//! 12 characters are a secret (60 bits), 15 are the beginning of the SHA-256 of the clinic's authority's certificate (75 bits), by which the
//! kit knows that it talks to the right clinic, and the last finds slips of the hand. The alphabet leaves out I, L, O and U; what is typed
//! for them is understood. Pure: whoever makes a code brings the random bits, whoever checks one brings the hash.

use std::{fmt, str::FromStr};

/// Base 32 without letters that look like digits or like each other.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Characters of a code.
const CODE_CHARS: usize = 28;
/// Characters between two hyphens.
const GROUP_CHARS: usize = 4;
/// Characters of the secret.
const SECRET_CHARS: usize = 12;

/// A code that is one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code([u8; CODE_CHARS]);

/// What is typed and is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Too short or too long.
    #[error("the code has {found} characters, want {CODE_CHARS}")]
    Length {
        /// Without hyphens and spaces.
        found: usize,
    },
    /// A character that no code has.
    #[error("the code has the character {found:?}, want letters and digits without I, L, O and U")]
    Character {
        /// Which.
        found: char,
    },
    /// Two characters changed places, or one is another.
    #[error("the code is mistyped: its last character does not fit the others")]
    Mistyped,
}

impl Code {
    /// A code of 60 random bits for the authority whose certificate has this SHA-256.
    #[must_use]
    pub fn new(secret: u64, authority_sha256: &[u8; 32]) -> Self {
        let mut digits = [0; CODE_CHARS];
        for (place, digit) in digits[..SECRET_CHARS].iter_mut().enumerate() {
            *digit = (secret >> (5 * place)) as u8 & 31;
        }
        digits[SECRET_CHARS..CODE_CHARS - 1].copy_from_slice(&beginning(authority_sha256));
        digits[CODE_CHARS - 1] = check(&digits[..CODE_CHARS - 1]);
        Self(digits)
    }

    /// Was it given out by the authority whose certificate has this SHA-256?
    #[must_use]
    pub fn is_of(&self, authority_sha256: &[u8; 32]) -> bool {
        self.0[SECRET_CHARS..CODE_CHARS - 1] == beginning(authority_sha256)
    }
}

/// The first 75 bits, five at a time.
fn beginning(hash: &[u8; 32]) -> [u8; CODE_CHARS - 1 - SECRET_CHARS] {
    let bit = |at: usize| hash[at / 8] >> (7 - at % 8) & 1;
    std::array::from_fn(|place| (0..5).fold(0, |digit, one| digit << 1 | bit(5 * place + one)))
}

/// CRC-5 with x^5 + x^2 + 1, which is primitive: within 31 characters it finds every wrong one, and every two that changed places.
fn check(digits: &[u8]) -> u8 {
    digits.iter().fold(0, |sum, digit| {
        (0..5).fold(sum ^ digit, |sum, _| if sum & 16 == 0 { sum << 1 } else { (sum << 1 ^ 0b00101) & 31 })
    })
}

impl FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        let typed: Vec<char> = text.chars().filter(|c| *c != '-' && !c.is_whitespace()).collect();
        if typed.len() != CODE_CHARS {
            return Err(CodeError::Length { found: typed.len() });
        }
        let mut digits = [0; CODE_CHARS];
        for (digit, typed) in digits.iter_mut().zip(typed) {
            let meant = match typed.to_ascii_uppercase() {
                'O' => '0',
                'I' | 'L' => '1',
                other => other,
            };
            let place = ALPHABET.iter().position(|known| char::from(*known) == meant);
            *digit = place.ok_or(CodeError::Character { found: typed })? as u8;
        }
        let fits = digits[CODE_CHARS - 1] == check(&digits[..CODE_CHARS - 1]);
        if fits { Ok(Self(digits)) } else { Err(CodeError::Mistyped) }
    }
}

/// As it is read out: seven groups of four.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, digit) in self.0.iter().enumerate() {
            if place > 0 && place % GROUP_CHARS == 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(ALPHABET[usize::from(*digit)]))?;
        }
        Ok(())
    }
}

/// Never in a log.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: [u8; 32] = *b"\xde\xad\xbe\xef\x01\x23\x45\x67\x89\xab\xcd\xefand the rest of it..";

    #[test]
    fn is_read_as_it_is_written_and_as_it_is_typed() {
        let code = Code::new(0x0123_4567_89ab_cdef, &HASH);
        let text = code.to_string();
        assert_eq!((text.len(), text.matches('-').count()), (34, 6));
        let slips = text.to_lowercase().replace('0', "o").replace('1', "l").replace('-', " ");
        for typed in [text.as_str(), &text.replace('-', ""), &slips] {
            assert!(typed.parse::<Code>() == Ok(code), "{typed}");
        }
        assert!(code.is_of(&HASH) && !code.is_of(&[7; 32]));
        let near = std::array::from_fn(|at| if at == 9 { HASH[at] ^ 0x20 } else { HASH[at] });
        assert!(!code.is_of(&near), "bit 74 counts");
        assert_eq!(format!("{code:?}"), "Code(..)");
    }

    #[test]
    fn one_wrong_character_and_two_that_changed_places_are_found() {
        let code = Code::new(0x0fed_cba9_8765_4321, &HASH);
        for place in 0..CODE_CHARS {
            for other in (0..32).filter(|other| *other != code.0[place]) {
                let mut wrong = code;
                wrong.0[place] = other;
                assert_eq!(wrong.to_string().parse::<Code>(), Err(CodeError::Mistyped), "{place} {other}");
            }
            for with in (0..place).filter(|with| code.0[*with] != code.0[place]) {
                let mut wrong = code;
                wrong.0.swap(place, with);
                assert_eq!(wrong.to_string().parse::<Code>(), Err(CodeError::Mistyped), "{place} and {with}");
            }
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let wrong = |text: &str| text.parse::<Code>().unwrap_err().to_string();
        assert_eq!(wrong("ABCD"), "the code has 4 characters, want 28");
        let strange = "ABCD-".repeat(6) + "AB!D";
        assert_eq!(wrong(&strange), "the code has the character '!', want letters and digits without I, L, O and U");
    }
}
