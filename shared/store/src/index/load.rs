//! What a posting carries beside its document: how often, in which field, in how long a document.

use super::Field;

/// How often a term stands in each field of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) title: u8,
    pub(super) tags: u8,
    pub(super) text: u8,
}

/// A load with the document's length, as the 32 bits that are hidden in a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packed(pub(super) u32);

/// Counts beyond this weigh no more than it, in the title and in the tags; in the text, beyond 255.
const FEW_MAX: u8 = 15;
/// Steps of a length's code to a doubling: a length is kept to within 4.5 %.
const STEPS: f64 = 8.0;

// === impl Load ===

impl Load {
    pub(super) fn count(&mut self, field: Field) {
        match field {
            Field::Title => self.title = self.title.saturating_add(1).min(FEW_MAX),
            Field::Tags => self.tags = self.tags.saturating_add(1).min(FEW_MAX),
            Field::Text => self.text = self.text.saturating_add(1),
        }
    }

    /// How often, weighted: what BM25 takes for the frequency.
    pub(super) fn weight(self) -> f64 {
        f64::from(self.title) * Field::Title.weight()
            + f64::from(self.tags) * Field::Tags.weight()
            + f64::from(self.text) * Field::Text.weight()
    }

    pub(super) fn pack(self, length: u32) -> Packed {
        let code = ((f64::from(length) + 1.0).log2() * STEPS).round().clamp(0.0, 255.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a byte")]
        let code = code as u8;
        Packed(u32::from_be_bytes([0, self.title << 4 | self.tags, self.text, code]))
    }
}

// === impl Packed ===

impl Packed {
    /// The load and the document's length, about.
    pub(super) fn unpack(self) -> (Load, f64) {
        let [_, few, text, code] = self.0.to_be_bytes();
        let load = Load { title: few >> 4, tags: few & 0xf, text };
        (load, (f64::from(code) / STEPS).exp2() - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_load_comes_back_and_its_length_nearly(title in 0_u8..16, tags in 0_u8..16, text: u8, length in 0_u32..1_000_000) {
            let load = Load { title, tags, text };
            let (back, about) = load.pack(length).unpack();
            prop_assert_eq!(back, load);
            prop_assert!((about - f64::from(length)).abs() <= 0.045 * f64::from(length) + 0.5);
        }
    }
}
