//! Two slices side by side against the same slices one after the other, on every backend.

use super::super::forward::Forward;
use super::super::update::Update;
use super::*;

const ROWS: usize = 29;

/// Two tables column by column, or one that has both.
struct Tables {
    widths: Vec<usize>,
    vectors: Vec<Vec<f32>>,
    thetas: Vec<Vec<f32>>,
}

impl Tables {
    fn apart(widths: [usize; 2]) -> Self {
        let table = |seed| widths.map(|width| values(ROWS * width, seed + width as u64));
        Self {
            widths: widths.to_vec(),
            vectors: table(1).to_vec(),
            thetas: table(2).to_vec(),
        }
    }

    fn side_by_side(&self) -> Self {
        let joined = |tables: &[Vec<f32>]| {
            let rows = tables[0]
                .chunks(self.widths[0])
                .zip(tables[1].chunks(self.widths[1]));
            vec![rows.flat_map(|(a, b)| [a, b].concat()).collect()]
        };
        Self {
            widths: vec![self.widths.iter().sum()],
            vectors: joined(&self.vectors),
            thetas: joined(&self.thetas),
        }
    }

    /// The sum of the partial scores; then the tables take the steps.
    fn train<const P: usize>(&mut self, backend: Backend, batch: BatchRef<'_>) -> Vec<f32> {
        let mut sums = vec![0.0; batch.partials_len()];
        let steps: Vec<f32> = values(batch.scores_len(), 5);
        let tables = self.vectors.iter_mut().zip(&mut self.thetas);
        for ((vectors, thetas), width) in tables.zip(&self.widths) {
            let mut x = vec![f32::NAN; batch.x_rows() * width];
            let mut partials = vec![f32::NAN; sums.len()];
            backend.run(Forward::<P> {
                slice: Slice {
                    vectors: MatRef::new(vectors, ROWS, *width).unwrap(),
                    thetas: MatRef::new(thetas, ROWS, *width).unwrap(),
                },
                batch,
                projection: Projection::MeanFullShare,
                x: &mut x,
                partials: &mut partials,
            });
            backend.run(Update::<P> {
                slice: SliceMut {
                    vectors: MatMut::new(vectors, ROWS, *width).unwrap(),
                    thetas: MatMut::new(thetas, ROWS, *width).unwrap(),
                },
                batch,
                projection: Projection::MeanFullShare,
                x: &x,
                steps: &steps,
            });
            let added = sums.iter_mut().zip(partials);
            added.for_each(|(sum, partial)| *sum += partial);
        }
        sums
    }
}

/// Paths of no node up to ten, contexts of none up to ten words, some of them twice.
#[test]
fn two_slices_side_by_side_have_the_bits_of_both() {
    let offsets: Vec<u32> = (0..=11).map(|n| n * (n + 1) / 2).collect();
    let fewer: Vec<u32> = offsets.iter().map(|end| 66 - end).rev().collect();
    let contexts: Vec<u32> = (0..66).map(|i| i * 5 % ROWS as u32).collect();
    let nodes: Vec<u32> = (0..66).map(|i| (i * i % 7 + i) % ROWS as u32).collect();
    let batch = BatchRef::new(&offsets, &contexts, &fewer, &nodes).unwrap();
    on_every_backend(|backend| {
        for widths in [
            [16; 2],
            [16, 32],
            [32; 2],
            [32, 48],
            [48; 2],
            [48, 64],
            [64; 2],
        ] {
            let mut apart = Tables::apart(widths);
            let mut joined = apart.side_by_side();
            let want = apart.train::<1>(backend, batch);
            let got = joined.train::<2>(backend, batch);
            assert_eq!(got, want, "{widths:?}");
            let apart = apart.side_by_side();
            assert_eq!(joined.vectors, apart.vectors, "{widths:?}");
            assert_eq!(joined.thetas, apart.thetas, "{widths:?}");
        }
    });
}

#[test]
fn other_widths_and_skip_gram_are_errors() {
    let batch = BatchRef::new(&[0, 1], &[0], &[0, 1], &[0]).unwrap();
    let forward = |width: usize, batch: BatchRef<'_>| {
        let (mut table, mut x) = (vec![0.0; width], vec![0.0; batch.x_rows() * width]);
        let rows = table.clone();
        let slice = Slice {
            vectors: MatRef::new(&rows, 1, width).unwrap(),
            thetas: MatRef::new(&rows, 1, width).unwrap(),
        };
        let mut partials = [0.0; 2];
        let mut thetas = table.clone();
        let updated = update_two_slices(
            SliceMut {
                vectors: MatMut::new(&mut table, 1, width).unwrap(),
                thetas: MatMut::new(&mut thetas, 1, width).unwrap(),
            },
            batch,
            Projection::Mean,
            &mut x,
            &[0.0],
        );
        let read = forward_two_slices(slice, batch, Projection::Mean, &mut x, &mut partials);
        assert_eq!(read, updated, "{width}");
        read
    };
    for width in [16, 40, 144] {
        assert!(forward(width, batch).is_err(), "{width}");
    }
    assert!(forward(128, batch).is_ok());
    assert!(forward(64, batch.of_pairs()).is_err());
}

#[test]
fn the_second_of_two_neighbours_is_as_wide_or_a_group_wider() {
    for (second, are) in [
        (48..96, true),
        (48..112, true),
        (48..80, false),
        (64..112, false),
    ] {
        assert_eq!(are_neighbours(&(0..48), &second), are, "{second:?}");
    }
}
