//! A state's bytes: canonical (equal tallies, equal bytes), versioned and checksummed.
//!
//! ```text
//! "LMTALLY" u8 format | u32 numeric version | settings | seen, by, counts, facts
//! | hidden labels | total | groups, in the order of their keys | u32 CRC-32 of all before
//! ```
//!
//! All little-endian. Reading is total: damaged bytes give an error, never a panic or a large
//! allocation; bytes that [`Tally::to_bytes`] would not have written are refused.

use super::part::{Clusters, Part, Sequences, Squares, Weight};
use super::{ExactSum, Facts, Parts, Seen, Tally};
use crate::element::Element;
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::{NUMERIC_VERSION, Precision};
use crate::key::{GroupKey, Key};
use crate::selection::Counts;
use crate::settings::{Accuracy, NonFinite, OnShort, Pooling, Profile, Settings};
use std::collections::BTreeMap;

const MAGIC: &[u8; 7] = b"LMTALLY";
const FORMAT: u8 = 2;

impl Tally {
    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer(MAGIC.to_vec());
        out.u8(FORMAT);
        out.u32(NUMERIC_VERSION);
        out.settings(&self.settings);
        out.seen(&self.seen);
        out.list(&self.by, |out, name| out.text(name));
        out.counts(&self.counts);
        out.facts(&self.facts);
        out.list(&self.hidden_labels, |out, (label, count)| {
            out.u32(*label);
            out.u64(*count);
        });
        out.parts(&self.total);
        out.list(&self.groups, |out, (key, parts)| {
            out.group(key);
            out.parts(parts);
        });
        let sum = crc32fast::hash(&out.0);
        out.u32(sum);
        out.0
    }

    /// The tally of these bytes.
    ///
    /// # Errors
    /// Bytes that are damaged, cut short or no state at all; another format or numeric version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let tally =
            Reader(checked(bytes)?).tally().ok_or_else(|| corrupt("its fields do not fit together"))?;
        if tally.to_bytes() != bytes {
            return Err(corrupt("it is not in canonical form"));
        }
        Ok(tally)
    }
}

fn corrupt(why: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("these bytes are no state of logitmeter: {why}"))
}

/// The body, once head and checksum are as they should be.
fn checked(bytes: &[u8]) -> Result<&[u8]> {
    let body = bytes.strip_prefix(MAGIC).ok_or_else(|| corrupt("they do not begin with LMTALLY"))?;
    let (&format, body) = body.split_first().ok_or_else(|| corrupt("they end after 7 bytes"))?;
    if format != FORMAT {
        let message = format!("a state of format {format}; this version reads format {FORMAT}");
        return Err(
            Error::new(ErrorKind::StateVersion, message).wanted(FORMAT.to_string(), format.to_string())
        );
    }
    let (body, sum) = body.split_last_chunk::<4>().ok_or_else(|| corrupt("they are cut short"))?;
    let hashed = &bytes[..bytes.len() - 4];
    if crc32fast::hash(hashed) != u32::from_le_bytes(*sum) {
        return Err(corrupt("the checksum differs, so they are damaged or cut short"));
    }
    let (version, body) = body.split_first_chunk::<4>().ok_or_else(|| corrupt("they are cut short"))?;
    let version = u32::from_le_bytes(*version);
    if version != NUMERIC_VERSION {
        let message =
            format!("a state of numeric version {version}; this kernel has version {NUMERIC_VERSION}");
        return Err(Error::new(ErrorKind::StateVersion, message)
            .wanted(NUMERIC_VERSION.to_string(), version.to_string()));
    }
    Ok(body)
}

struct Writer(Vec<u8>);

impl Writer {
    fn u8(&mut self, x: u8) {
        self.0.push(x);
    }
    fn u32(&mut self, x: u32) {
        self.0.extend(x.to_le_bytes());
    }
    fn u64(&mut self, x: u64) {
        self.0.extend(x.to_le_bytes());
    }
    fn text(&mut self, text: &str) {
        self.u64(text.len() as u64);
        self.0.extend(text.as_bytes());
    }
    fn option(&mut self, x: Option<u64>) {
        self.u8(u8::from(x.is_some()));
        self.u64(x.unwrap_or(0));
    }
    fn list<T>(
        &mut self,
        items: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        mut one: impl FnMut(&mut Self, T),
    ) {
        let items = items.into_iter();
        self.u64(items.len() as u64);
        for item in items {
            one(self, item);
        }
    }
    fn settings(&mut self, s: &Settings) {
        self.u64(s.ignore_index as u64);
        self.u8(u8::from(s.shift));
        self.u64(s.leading as u64);
        self.u64(s.trailing as u64);
        self.u8(u8::from(s.on_short == OnShort::Count));
        self.u8(u8::from(s.hidden));
        self.option(s.valid_vocab.map(|n| n as u64));
        let mask = s.vocab_mask.as_deref().unwrap_or(&[]);
        self.list(mask, |out, &bit| out.u8(u8::from(bit)));
        self.u8(match s.nonfinite {
            NonFinite::Raise => 0,
            NonFinite::Omit => 1,
            NonFinite::Propagate => 2,
        });
        self.u8(match s.pooling {
            Pooling::Tokens => 0,
            Pooling::Sequences => 1,
            Pooling::Batches => 2,
            Pooling::Samples => 3,
        });
        self.u8(u8::from(s.accuracy == Accuracy::Sequences));
        self.u8(u8::from(s.precision == Precision::Exact));
        self.list(&s.profile, |out, profile| {
            out.text(&profile.name);
            out.text(&profile.source);
        });
    }
    fn seen(&mut self, seen: &Seen) {
        self.u8(seen.elements.iter().fold(0, |bits, e| bits | 1 << e.code()));
        self.option(seen.columns);
        for bit in [seen.scores, seen.mask, seen.roles, seen.weight, seen.unknown_sequences] {
            self.u8(u8::from(bit));
        }
    }
    fn counts(&mut self, c: &Counts) {
        for x in [c.rows, c.runs, c.short_left, c.short_right, c.unscored] {
            self.u64(x);
        }
    }
    fn facts(&mut self, f: &Facts) {
        for x in [f.nan_rows, f.posinf_rows, f.neginf_labels, f.empty_rows] {
            self.u64(x);
        }
    }
    fn group(&mut self, key: &GroupKey) {
        self.list(key, |out, part| match part {
            None => out.u8(0),
            Some(Key::Bool(x)) => {
                out.u8(1);
                out.u8(u8::from(*x));
            }
            Some(Key::Int(x)) => {
                out.u8(2);
                out.0.extend(x.to_le_bytes());
            }
            Some(Key::Text(x)) => {
                out.u8(3);
                out.text(x);
            }
        });
    }
    fn parts(&mut self, parts: &Parts) {
        self.part(&parts.visible);
        self.part(&parts.hidden);
        // Of the whole only sequences and clusters are its own.
        self.clusters(&parts.whole);
    }
    fn part(&mut self, part: &Part) {
        for x in [part.num_tokens, part.num_correct, part.num_ties, part.num_invalid] {
            self.u64(x);
        }
        for x in [part.num_bounded, part.num_unknown] {
            self.u64(x);
        }
        part.loss.write(&mut self.0);
        part.loss_gap.write(&mut self.0);
        for weight in [&part.weight, &part.correct, &part.strict, &part.optimistic, &part.perhaps] {
            self.weight(weight);
        }
        part.reciprocal.write(&mut self.0);
        let used = part.ranks.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
        self.list(&part.ranks[..used], |out, &count| out.u64(count));
        self.list(&part.weighted_ranks, |out, (rank, sum)| {
            out.u8(*rank);
            sum.write(&mut out.0);
        });
        let squares = &part.squares;
        self.weight(&squares.nn);
        squares.ss.write(&mut self.0);
        squares.sn.write(&mut self.0);
        self.weight(&squares.cc);
        self.clusters(part);
    }
    fn weight(&mut self, weight: &Weight) {
        self.u64(weight.ones);
        weight.rest.write(&mut self.0);
    }
    fn clusters(&mut self, part: &Part) {
        let (sequences, clusters) = (&part.sequences, &part.clusters);
        for x in [sequences.count, sequences.judged, sequences.exact, clusters.count] {
            self.u64(x);
        }
        for sum in clusters.sums() {
            sum.write(&mut self.0);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn tally(&mut self) -> Option<Tally> {
        let tally = Tally {
            settings: self.settings()?,
            seen: self.seen()?,
            by: self.list(Self::text)?,
            counts: self.counts()?,
            facts: self.facts()?,
            hidden_labels: self.list(|r| Some((r.u32()?, r.u64()?)))?.into_iter().collect(),
            total: self.parts()?,
            groups: self.list(|r| Some((r.group()?, r.parts()?)))?.into_iter().collect(),
        };
        self.0.is_empty().then_some(tally)
    }
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
    fn u8(&mut self) -> Option<u8> {
        self.bytes::<1>().map(|[x]| x)
    }
    fn flag(&mut self) -> Option<bool> {
        self.u8().map(|x| x == 1)
    }
    fn u32(&mut self) -> Option<u32> {
        self.bytes().map(u32::from_le_bytes)
    }
    fn u64(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_le_bytes)
    }
    fn size(&mut self) -> Option<usize> {
        self.u64().and_then(|x| usize::try_from(x).ok())
    }
    /// A value that may be absent, and then is written as 0.
    #[expect(clippy::option_option, reason = "the outer one says whether there were enough bytes")]
    fn option(&mut self) -> Option<Option<u64>> {
        let (some, x) = (self.flag()?, self.u64()?);
        Some(some.then_some(x))
    }
    /// Every item takes a byte at least, so a claimed length beyond the rest is a lie.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.size().filter(|&len| len <= self.0.len())?;
        (0..len).map(|_| one(self)).collect()
    }
    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.list(Self::u8)?).ok()
    }
    fn settings(&mut self) -> Option<Settings> {
        Some(Settings {
            ignore_index: self.u64()? as i64,
            shift: self.flag()?,
            leading: self.size()?,
            trailing: self.size()?,
            on_short: if self.flag()? { OnShort::Count } else { OnShort::Raise },
            hidden: self.flag()?,
            valid_vocab: match self.option()? {
                Some(n) => Some(usize::try_from(n).ok()?),
                None => None,
            },
            vocab_mask: Some(self.list(Self::flag)?).filter(|mask| !mask.is_empty()).map(Into::into),
            nonfinite: match self.u8()? {
                0 => NonFinite::Raise,
                1 => NonFinite::Omit,
                _ => NonFinite::Propagate,
            },
            pooling: match self.u8()? {
                0 => Pooling::Tokens,
                1 => Pooling::Sequences,
                2 => Pooling::Batches,
                _ => Pooling::Samples,
            },
            accuracy: if self.flag()? { Accuracy::Sequences } else { Accuracy::Tokens },
            precision: if self.flag()? { Precision::Exact } else { Precision::Fast },
            profile: self.list(|r| Some(Profile { name: r.text()?, source: r.text()? }))?.pop(),
        })
    }
    fn seen(&mut self) -> Option<Seen> {
        let bits = self.u8()?;
        Some(Seen {
            elements: Element::ALL.into_iter().filter(|e| bits >> e.code() & 1 == 1).collect(),
            columns: self.option()?,
            scores: self.flag()?,
            mask: self.flag()?,
            roles: self.flag()?,
            weight: self.flag()?,
            unknown_sequences: self.flag()?,
        })
    }
    fn counts(&mut self) -> Option<Counts> {
        Some(Counts {
            rows: self.u64()?,
            runs: self.u64()?,
            short_left: self.u64()?,
            short_right: self.u64()?,
            unscored: self.u64()?,
        })
    }
    fn facts(&mut self) -> Option<Facts> {
        Some(Facts {
            nan_rows: self.u64()?,
            posinf_rows: self.u64()?,
            neginf_labels: self.u64()?,
            empty_rows: self.u64()?,
        })
    }
    fn group(&mut self) -> Option<GroupKey> {
        self.list(|r| {
            Some(match r.u8()? {
                0 => None,
                1 => Some(Key::Bool(r.flag()?)),
                2 => Some(Key::Int(i128::from_le_bytes(r.bytes()?))),
                3 => Some(Key::Text(r.text()?.into())),
                _ => return None,
            })
        })
    }
    fn parts(&mut self) -> Option<Parts> {
        let (visible, hidden) = (self.part()?, self.part()?);
        let whole = Part { sequences: self.sequences()?, clusters: self.clusters()?, ..Part::default() };
        Some(Parts { visible, hidden, whole })
    }
    fn sum(&mut self) -> Option<ExactSum> {
        ExactSum::read(&mut self.0)
    }
    fn weight(&mut self) -> Option<Weight> {
        Some(Weight { ones: self.u64()?, rest: self.sum()? })
    }
    fn part(&mut self) -> Option<Part> {
        Some(Part {
            num_tokens: self.u64()?,
            num_correct: self.u64()?,
            num_ties: self.u64()?,
            num_invalid: self.u64()?,
            num_bounded: self.u64()?,
            num_unknown: self.u64()?,
            loss: self.sum()?,
            loss_gap: self.sum()?,
            weight: self.weight()?,
            correct: self.weight()?,
            strict: self.weight()?,
            optimistic: self.weight()?,
            perhaps: self.weight()?,
            reciprocal: self.sum()?,
            ranks: self.list(Self::u64)?,
            weighted_ranks: self.list(|r| Some((r.u8()?, r.sum()?)))?.into_iter().collect::<BTreeMap<_, _>>(),
            squares: Squares { nn: self.weight()?, ss: self.sum()?, sn: self.sum()?, cc: self.weight()? },
            sequences: self.sequences()?,
            clusters: self.clusters()?,
        })
    }
    fn sequences(&mut self) -> Option<Sequences> {
        Some(Sequences { count: self.u64()?, judged: self.u64()?, exact: self.u64()? })
    }
    fn clusters(&mut self) -> Option<Clusters> {
        let mut clusters = Clusters { count: self.u64()?, ..Clusters::default() };
        for sum in clusters.sums_mut() {
            *sum = self.sum()?;
        }
        Some(clusters)
    }
}
