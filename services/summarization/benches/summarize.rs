//! What a summary costs, by the length of the text.
#![expect(missing_docs, reason = "criterion's macro makes a function that takes no comment")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mcp_summarization::engine::{Engine, Extractive, Job, Length};

/// A generator of numbers that are the same in each run: bench figures must be comparable.
struct Numbers(u64);

// === impl Numbers ===

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    /// Small numbers are far likelier than great ones, as common words are than rare ones.
    fn skewed(&mut self, bound: u64) -> u64 {
        let width = 1 + self.below(bound);
        let width = 1 + self.below(width);
        self.below(width)
    }
}

fn summaries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("summarize");
    group.sample_size(10);
    for words in [1_000, 10_000, 100_000] {
        let job = Job { text: prose(words), length: Length::Words(120), ..Job::default() };
        let engine = Extractive::new();
        group.throughput(Throughput::Elements(words as u64));
        group.bench_with_input(BenchmarkId::from_parameter(words), &job, |bencher, job| {
            bencher.iter(|| engine.summarize(black_box(job)));
        });
    }
    group.finish();
}

/// Text of `words` words in sentences and paragraphs, of a vocabulary that grows rarer and rarer.
fn prose(words: usize) -> String {
    const CONSONANTS: &[u8] = b"bcdfghklmnprstvw";
    const VOWELS: &[u8] = b"aeiou";
    let mut numbers = Numbers(42);
    let pick = |letters: &[u8], numbers: &mut Numbers| {
        char::from(letters[numbers.below(letters.len() as u64) as usize])
    };
    let vocabulary: Vec<String> = (0..8_000)
        .map(|_| {
            let syllables = 1 + numbers.below(4);
            (0..syllables)
                .flat_map(|_| [pick(CONSONANTS, &mut numbers), pick(VOWELS, &mut numbers)])
                .collect()
        })
        .collect();

    let mut text = String::new();
    let mut left = words;
    while left > 0 {
        let length = (6 + numbers.below(20) as usize).min(left);
        for place in 0..length {
            let word = &vocabulary[numbers.skewed(vocabulary.len() as u64) as usize];
            let (first, rest) = word.split_at(1);
            if place == 0 {
                text.push_str(&first.to_uppercase());
            } else {
                text.push(' ');
                text.push_str(first);
            }
            text.push_str(rest);
        }
        text.push_str(if numbers.below(5) == 0 { ".\n\n" } else { ". " });
        left -= length;
    }
    text
}

criterion_group!(benches, summaries);
criterion_main!(benches);
