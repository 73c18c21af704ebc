//! Sentences by terms, with the zeros left out.

/// Rows of numbers in which most are zero; each row's columns ascend.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Matrix {
    /// Where each row but the first begins; the last entry is where the last row ends.
    ends: Vec<usize>,
    columns_of: Vec<u32>,
    values: Vec<f64>,
    /// One more than the largest column there may be.
    pub(super) columns: usize,
}

// === impl Matrix ===

impl Matrix {
    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.ends.len()
    }

    /// Adds the row that counts `terms`, and empties them.
    pub(super) fn push(&mut self, terms: &mut Vec<u32>) {
        terms.sort_unstable();
        for term in terms.drain(..) {
            let row_start = self.ends.last().copied().unwrap_or(0);
            match self.columns_of.last() {
                Some(last) if *last == term && self.columns_of.len() > row_start => {
                    if let Some(count) = self.values.last_mut() {
                        *count += 1.0;
                    }
                }
                _ => {
                    self.columns_of.push(term);
                    self.values.push(1.0);
                }
            }
        }
        self.ends.push(self.columns_of.len());
    }

    /// The columns and values of a row that are not zero.
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = (usize, f64)> + Clone {
        let range = self.range(row);
        let columns = self.columns_of[range.clone()].iter().map(|column| *column as usize);
        columns.zip(self.values[range].iter().copied())
    }

    /// The same rows and columns with other values: `f(row, column, value)`.
    pub(super) fn map(&self, mut f: impl FnMut(usize, usize, f64) -> f64) -> Self {
        let mut mapped = self.clone();
        for row in 0..self.rows() {
            for at in self.range(row) {
                mapped.values[at] = f(row, self.columns_of[at] as usize, self.values[at]);
            }
        }
        mapped
    }

    /// In how many rows each column is not zero.
    pub(super) fn rows_with(&self) -> Vec<f64> {
        let mut rows = vec![0.0; self.columns];
        for column in &self.columns_of {
            rows[*column as usize] += 1.0;
        }
        rows
    }

    /// Each row scaled to length one; rows of zeros stay.
    pub(super) fn unit(mut self) -> Self {
        for row in 0..self.rows() {
            let range = self.range(row);
            let values = &mut self.values[range];
            let length = values.iter().map(|value| value * value).sum::<f64>().sqrt();
            if length > 0.0 {
                values.iter_mut().for_each(|value| *value /= length);
            }
        }
        self
    }

    /// The product of a row and a vector that has a value for each column.
    pub(super) fn dot(&self, row: usize, vector: &[f64]) -> f64 {
        self.row(row).map(|(column, value)| value * vector[column]).sum()
    }

    /// Adds a row, times `factor`, to such a vector.
    pub(super) fn add_to(&self, row: usize, factor: f64, vector: &mut [f64]) {
        for (column, value) in self.row(row) {
            vector[column] += factor * value;
        }
    }

    fn range(&self, row: usize) -> std::ops::Range<usize> {
        let start = row.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[row]
    }
}
