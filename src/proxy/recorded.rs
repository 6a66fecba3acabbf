//! What a step has fetched so far, as its record will have it. Pure.
//!
//! In: requests as they are made, answers as they come to their ends. Out: the exchanges of a
//! [`crate::lock::Record`], in its order; or why no record can hold them.

use std::collections::{BTreeMap, BTreeSet};

use super::Error;
use crate::canon::Digest;
use crate::lock::{self, Exchange};

/// Requests that a record may have.
pub const MOST_REQUESTS: usize = 200_000;
/// Bytes of URLs and fields that a record may have: less than a lock may.
const LARGEST: usize = lock::LARGEST / 2;
/// About what an exchange takes in a lock beside those.
const OVERHEAD: usize = 160;

/// What came of the requests so far.
#[derive(Default)]
pub struct Recorded {
    /// Requests so far.
    asked: u64,
    /// Those that have not come to their ends, by number, and whether an answer has begun.
    open: BTreeMap<u64, (lock::Request, bool)>,
    ended: Vec<Ended>,
    /// Requests that got no answer, or not all of it.
    failed: Vec<(u64, lock::Request)>,
    /// Bytes of URLs and fields.
    size: usize,
    differs: bool,
}

/// A request that was answered.
#[derive(Clone)]
struct Ended {
    number: u64,
    /// How many requests had been made when it came to its end: those after it saw it over.
    until: u64,
    exchange: Exchange,
    /// Of what proved who asked, if anything did.
    credentials: Option<Digest>,
}

impl Recorded {
    /// A request is made; its number.
    ///
    /// # Errors
    /// Where a record can't hold so many.
    pub fn begin(&mut self, request: &lock::Request) -> Result<u64, Error> {
        self.asked += 1;
        if self.asked > MOST_REQUESTS as u64 {
            return Err(Error::TooMany(MOST_REQUESTS));
        }
        let fields = [&request.asked];
        self.add(request.url.len() + size(fields) + OVERHEAD)?;
        self.open.insert(self.asked, (request.clone(), false));
        Ok(self.asked)
    }

    fn add(&mut self, bytes: usize) -> Result<(), Error> {
        self.size += bytes;
        match self.size > LARGEST {
            true => Err(Error::TooLarge(LARGEST)),
            false => Ok(()),
        }
    }

    /// Its answer begins.
    pub fn answered(&mut self, number: u64) {
        if let Some((_, has_begun)) = self.open.get_mut(&number) {
            *has_begun = true;
        }
    }

    /// It gets no answer, or not all of it.
    pub fn fail(&mut self, number: u64) {
        if let Some((request, _)) = self.open.remove(&number) {
            self.failed.push((number, request));
        }
    }

    /// Its answer has come to its end. `credentials` is of what proved who asked, if anything did.
    ///
    /// # Errors
    /// Where a record can't hold so much.
    pub fn end(
        &mut self,
        number: u64,
        response: lock::Response,
        credentials: Option<Digest>,
    ) -> Result<(), Error> {
        let Some((request, _)) = self.open.remove(&number) else {
            return Ok(());
        };
        self.add(size([&response.headers, &response.trailers]))?;
        self.ended.push(Ended {
            number,
            until: self.asked,
            exchange: Exchange { request, response },
            credentials,
        });
        Ok(())
    }

    /// The program got something other than a replay gives it.
    pub fn differs(&mut self) {
        self.differs = true;
    }

    /// The URL of an answer that is on its way.
    pub fn coming(&self) -> Option<&str> {
        let mut open = self.open.values();
        let coming = open.find(|(_, has_begun)| *has_begun);
        coming.map(|(request, _)| &*request.url)
    }

    /// All of it, and whether the program got just what a replay gives it. What is on its way is no
    /// answer.
    ///
    /// # Errors
    /// Where a replay could not tell requests apart.
    pub fn finish(self) -> Result<(Vec<Exchange>, bool), Error> {
        let Recorded {
            open,
            mut ended,
            mut failed,
            differs,
            ..
        } = self;
        // A replay breaks off what the command waited for until its end.
        let differs = differs || !open.is_empty();
        failed.extend(
            open.into_iter()
                .map(|(number, (request, _))| (number, request)),
        );
        ended.sort_by(|a, b| (&a.exchange.request, a.number).cmp(&(&b.exchange.request, b.number)));
        tell_apart(&ended)?;
        // The last time it failed, the answer was there before or came after: a replay gives that at
        // once.
        let is_answered = |request: &lock::Request| {
            let by = |ended: &Ended| ended.exchange.request.cmp(request);
            ended.binary_search_by(by).is_ok()
        };
        let differs = differs || failed.iter().any(|(_, request)| is_answered(request));
        let ended = ended.into_iter().map(|it| (it.number, it.exchange));
        Ok((in_order(ended.collect(), failed), !differs))
    }
}

/// Bytes that fields take in a lock, about.
fn size<const N: usize>(fields: [&BTreeMap<String, String>; N]) -> usize {
    let fields = fields.into_iter().flatten();
    fields
        .map(|(name, value)| name.len() + value.len() + 8)
        .sum()
}

/// Refuses equal requests that were under way at the same time, with different credentials, and had
/// different answers: who is given which in a replay would depend on who comes first. But for
/// `location`, fields differ from answer to answer, as `expires` does, and tell nobody apart. `ended`
/// is sorted.
fn tell_apart(ended: &[Ended]) -> Result<(), Error> {
    let is_same = |a: &Ended, b: &Ended| a.exchange.request == b.exchange.request;
    let answer = |ended: &Ended| {
        let lock::Response {
            status,
            body,
            headers,
            ..
        } = &ended.exchange.response;
        (*status, *body, headers.get("location").cloned())
    };
    for equal in ended.chunk_by(is_same) {
        let mut under_way: Vec<&Ended> = Vec::new();
        for it in equal {
            under_way.retain(|before| before.until >= it.number);
            let is_confused = |before: &&Ended| {
                before.credentials != it.credentials && answer(before) != answer(it)
            };
            if under_way.iter().any(is_confused) {
                let lock::Request { method, url, .. } = &it.exchange.request;
                return Err(Error::ByCredentials {
                    method: method.clone(),
                    url: url.clone(),
                });
            }
            under_way.push(it);
        }
    }
    Ok(())
}

/// Exchanges as records have them. Of equal ones after each other the last is enough where nothing
/// else follows: it is given again and again. Of requests that `failed` those are there that never
/// got an answer: the command went on without, and must be let to.
fn in_order(
    mut exchanges: Vec<(u64, Exchange)>,
    failed: Vec<(u64, lock::Request)>,
) -> Vec<Exchange> {
    let answered: BTreeSet<_> = exchanges.iter().map(|(_, it)| it.request.clone()).collect();
    let failed = failed
        .into_iter()
        .filter(|(_, request)| !answered.contains(request));
    let none = lock::Response {
        status: lock::NO_ANSWER,
        headers: BTreeMap::new(),
        body: None,
        trailers: BTreeMap::new(),
    };
    exchanges.extend(failed.map(|(number, request)| {
        let response = none.clone();
        (number, Exchange { request, response })
    }));
    exchanges.sort_by(|(a, one), (b, other)| (&one.request, a).cmp(&(&other.request, b)));
    let mut ordered: Vec<Exchange> = Vec::new();
    let mut exchanges = exchanges
        .into_iter()
        .map(|(_, exchange)| exchange)
        .peekable();
    while let Some(exchange) = exchanges.next() {
        let is_last = exchanges
            .peek()
            .is_none_or(|next| next.request != exchange.request);
        ordered.push(exchange);
        while let [.., before, last] = &ordered[..]
            && is_last
            && before == last
        {
            ordered.pop();
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(url: &str) -> lock::Request {
        lock::Request {
            url: url.to_owned(),
            method: "GET".to_owned(),
            asked: BTreeMap::new(),
            sent: None,
        }
    }

    fn said(status: u16) -> lock::Response {
        lock::Response {
            status,
            headers: BTreeMap::new(),
            body: None,
            trailers: BTreeMap::new(),
        }
    }

    /// What comes of requests: each with its status, if it was answered.
    fn recorded(requests: &[(&str, Option<u16>)]) -> Result<(Vec<(String, u16)>, bool), Error> {
        let mut recorded = Recorded::default();
        for (url, status) in requests {
            let number = recorded.begin(&request(url))?;
            match status {
                Some(0) => recorded.fail(number),
                Some(status) => {
                    recorded.answered(number);
                    assert_eq!(recorded.coming(), Some(*url));
                    recorded.end(number, said(*status), None)?;
                }
                None => {}
            }
        }
        let (exchanges, is_same) = recorded.finish()?;
        let told = exchanges.into_iter();
        let told = told.map(|it| (it.request.url, it.response.status));
        Ok((told.collect(), is_same))
    }

    #[test]
    fn what_is_on_its_way_at_the_end_is_no_answer() {
        let none = lock::NO_ANSWER;
        let both = [("a", Some(200)), ("b", None)];
        let expected = vec![("a".to_owned(), 200), ("b".to_owned(), none)];
        assert_eq!(recorded(&both).unwrap(), (expected, false));
        let again = [("a", None), ("a", Some(200))];
        let expected = vec![("a".to_owned(), 200)];
        assert_eq!(recorded(&again).unwrap(), (expected.clone(), false));
        assert_eq!(recorded(&again[1..]).unwrap(), (expected, true));
    }

    #[test]
    fn answers_at_the_same_time_that_only_credentials_tell_apart_are_refused() {
        let fetch = |at_once: bool, answers: [(u16, &str); 2]| {
            let mut recorded = Recorded::default();
            let end = |recorded: &mut Recorded, number, (status, credentials): (u16, &str)| {
                let credentials = Some(credentials).filter(|it| !it.is_empty());
                let credentials = credentials.map(|it| Digest::of(it.as_bytes()));
                recorded.end(number, said(status), credentials).unwrap();
            };
            let one = recorded.begin(&request("a")).unwrap();
            if !at_once {
                end(&mut recorded, one, answers[0]);
            }
            let other = recorded.begin(&request("a")).unwrap();
            if at_once {
                end(&mut recorded, one, answers[0]);
            }
            end(&mut recorded, other, answers[1]);
            recorded.finish().map(|(exchanges, _)| exchanges.len())
        };
        for (answers, at_once, one_by_one) in [
            ([(200, "one"), (201, "other")], None, 2),
            ([(200, ""), (201, "other")], None, 2),
            // Who says nothing is asked who it is.
            ([(401, ""), (200, "one")], None, 2),
            ([(200, "one"), (200, "other")], Some(1), 1),
            ([(200, "one"), (201, "one")], Some(2), 2),
        ] {
            assert_eq!(fetch(false, answers).unwrap(), one_by_one, "{answers:?}");
            match (fetch(true, answers), at_once) {
                (Ok(got), Some(expected)) => assert_eq!(got, expected, "{answers:?}"),
                (Err(error), None) => assert!(error.to_string().contains("`GET a`"), "{error}"),
                (got, _) => panic!("{answers:?}: {got:?}"),
            }
        }
    }

    #[test]
    fn what_it_takes_in_a_lock_has_a_limit() {
        let mut recorded = Recorded::default();
        let mut response = said(200);
        let value = "x".repeat(LARGEST / 4);
        response.headers.insert("link".to_owned(), value);
        let ended = (0..4).try_for_each(|_| {
            let number = recorded.begin(&request("a"))?;
            recorded.end(number, response.clone(), None)
        });
        assert!(matches!(ended, Err(Error::TooLarge(LARGEST))));
    }

    #[test]
    fn records_are_sorted_and_hold_what_differs_in_the_order_of_asking() {
        let exchange = |(number, url, status)| {
            let (request, response) = (request(url), said(status));
            (number, Exchange { request, response })
        };
        // As they came to their ends.
        let came = [
            (7, "b", 200),
            (5, "b", 202),
            (1, "b", 202),
            (8, "b", 200),
            (9, "b", 200),
            (3, "a", 200),
            (6, "b", 200),
            (2, "b", 200),
        ];
        let failed = [(4, "c"), (10, "a"), (11, "c")].map(|(n, url)| (n, request(url)));
        let ordered = in_order(came.map(exchange).to_vec(), failed.to_vec());
        let told: Vec<_> = ordered
            .iter()
            .map(|it| (&*it.request.url, it.response.status))
            .collect();
        let expected = [
            ("a", 200),
            ("b", 202),
            ("b", 200),
            ("b", 202),
            ("b", 200),
            ("c", lock::NO_ANSWER),
        ];
        assert_eq!(told, expected);
    }
}
