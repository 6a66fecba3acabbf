//! Patterns of `${x#p}`, `${x%p}` and `${x/p/w}`.
//!
//! In: a pattern of `*`, `?` and characters; an escaped `*`, `?` or `\` is itself, and so are `/`
//! and `}`. Out: what it matches. Neither wildcard matches a newline. A match takes steps in
//! proportion to text times pattern, each of them counted.

use std::ops::Range;

use super::Error;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    One,
    Many,
    Char(char),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Token>);

/// Counts steps, and ends it all when there were too many.
type Work<'a> = &'a dyn Fn(usize) -> Result<(), Error>;

/// The start of the earliest match that has come so far, for each place in the pattern.
type Places = Vec<Option<usize>>;

impl Pattern {
    pub(super) fn new(text: &str) -> Result<Pattern, Error> {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let token = match c {
                '*' if tokens.last() == Some(&Token::Many) => continue,
                '*' => Token::Many,
                '?' => Token::One,
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '/' | '}')) => Token::Char(c),
                    _ => return Err(Error::Pattern(text.to_owned())),
                },
                c => Token::Char(c),
            };
            tokens.push(token);
        }
        Ok(Pattern(tokens))
    }

    /// How many characters the shortest or longest prefix has that matches; with `from_end`
    /// the suffix.
    pub(super) fn prefix(
        &self,
        text: &[char],
        longest: bool,
        from_end: bool,
        work: Work<'_>,
    ) -> Result<Option<usize>, Error> {
        let mut tokens = self.0.clone();
        let mut text = text.to_vec();
        if from_end {
            tokens.reverse();
            text.reverse();
        }
        let pattern = Pattern(tokens);
        let mut places = vec![None; pattern.0.len() + 1];
        pattern.enter(&mut places, 0, 0);
        let mut best = None;
        for at in 0..=text.len() {
            work(pattern.0.len() + 1)?;
            if places[pattern.0.len()].is_some() {
                best = Some(at);
                if !longest {
                    break;
                }
            }
            let Some(&c) = text.get(at) else { break };
            places = pattern.step(&places, c);
            if places.iter().all(Option::is_none) {
                break;
            }
        }
        Ok(best)
    }

    /// The first match, or all, each the longest at the leftmost place that has one. An empty
    /// one doesn't count right behind another.
    pub(super) fn matches(
        &self,
        text: &[char],
        all: bool,
        work: Work<'_>,
    ) -> Result<Vec<Range<usize>>, Error> {
        let mut found: Vec<Range<usize>> = Vec::new();
        let mut from = 0;
        while from <= text.len() {
            let Some(range) = self.first(text, from, work)? else {
                break;
            };
            from = range.end;
            if range.is_empty() {
                from += 1;
                if found.last().is_some_and(|last| last.end == range.end) {
                    continue;
                }
            }
            found.push(range);
            if !all {
                break;
            }
        }
        Ok(found)
    }

    /// The leftmost match from `from` on, the longest of those.
    fn first(
        &self,
        text: &[char],
        from: usize,
        work: Work<'_>,
    ) -> Result<Option<Range<usize>>, Error> {
        let end = self.0.len();
        let mut places: Places = vec![None; end + 1];
        let mut best: Option<Range<usize>> = None;
        for at in from..=text.len() {
            work(end + 1)?;
            if best.is_none() {
                self.enter(&mut places, 0, at);
            }
            if let Some(start) = places[end]
                && best.as_ref().is_none_or(|best| start <= best.start)
            {
                best = Some(start..at);
            }
            if let Some(best) = &best {
                // Whatever began later can't win any more.
                for place in &mut places {
                    *place = place.filter(|start| *start <= best.start);
                }
                if places.iter().all(Option::is_none) {
                    break;
                }
            }
            let Some(&c) = text.get(at) else { break };
            places = self.step(&places, c);
        }
        Ok(best)
    }

    /// Notes that the pattern has matched up to `place` from `start` on; `*` may match nothing.
    fn enter(&self, places: &mut Places, mut place: usize, start: usize) {
        loop {
            if places[place].is_some_and(|other| other <= start) {
                return;
            }
            places[place] = Some(start);
            if self.0.get(place) != Some(&Token::Many) {
                return;
            }
            place += 1;
        }
    }

    fn step(&self, places: &Places, c: char) -> Places {
        let mut next = vec![None; places.len()];
        for (place, token) in self.0.iter().enumerate() {
            let Some(start) = places[place] else { continue };
            match token {
                Token::Many if c != '\n' => self.enter(&mut next, place, start),
                Token::One if c != '\n' => self.enter(&mut next, place + 1, start),
                Token::Char(own) if *own == c => self.enter(&mut next, place + 1, start),
                _ => {}
            }
        }
        next
    }
}
