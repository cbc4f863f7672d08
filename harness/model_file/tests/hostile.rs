//! Files from strangers.

use super::*;

#[test]
fn truncated_and_flipped_files_are_refused() {
    let file = sample_file();
    let mut copy = Aligned::new(file);
    let mut workspace = vec![0; ModelRef::check_workspace_len(copy.bytes(file.len())).unwrap()];
    assert!(ModelRef::new_checked(copy.bytes(file.len()), &mut workspace).is_ok());
    assert!(ModelRef::new_checked(copy.bytes(file.len()), &mut []).is_err());
    for len in (0..file.len())
        .step_by(97)
        .chain(file.len() - 3..file.len())
    {
        assert!(
            ModelRef::new_checked(copy.bytes(len), &mut workspace).is_err(),
            "{len}"
        );
    }
    // Every bit of the head, then one bit every now and then.
    for at in (0..640).chain((640..file.len()).step_by(53)) {
        let bytes = copy.bytes(file.len());
        bytes[at] ^= 1 << (at % 8);
        assert!(
            ModelRef::new_checked(bytes, &mut workspace).is_err(),
            "byte {at}"
        );
        copy.bytes(file.len())[at] = file[at];
    }
}

/// A file whose section `name` was changed and whose checksums are right all the same.
fn forged(file: &[u8], name: &[u8; 8], change: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut copy = Aligned::new(file);
    let container = crate::kernels::format::Container::new(copy.bytes(file.len()), &KIND).unwrap();
    let names = table_names(file);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forged");
    let mut writer = ContainerWriter::create(&path, &KIND, names.len()).unwrap();
    for section in &names {
        let mut payload = container.section::<u8>(section).unwrap().to_vec();
        if section == name {
            change(&mut payload);
        }
        writer.section(section, &payload).unwrap();
    }
    writer.finish().unwrap();
    std::fs::read(path).unwrap()
}

fn table_names(file: &[u8]) -> Vec<[u8; 8]> {
    let count = u32::from_le_bytes(file[12..16].try_into().unwrap()) as usize;
    let entries = file[64..].chunks(32).take(count);
    entries
        .map(|entry| entry[..8].try_into().unwrap())
        .collect()
}

#[test]
fn forged_content_with_right_checksums_is_refused() {
    let refused_in = |file: &[u8], name: &[u8; 8], change: &dyn Fn(&mut Vec<u8>)| {
        let file = forged(file, name, change);
        let mut copy = Aligned::new(&file);
        let result = ModelRef::new_checked(copy.bytes(file.len()), &mut vec![0; 1000]);
        let Err(ModelError::Format(error)) = result else {
            panic!("{name:?}: {result:?}");
        };
        assert_eq!(error.problem, FormatProblem::Content, "{name:?}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.barelm");
        write_file(&path, &file).unwrap();
        assert_eq!(ModelFile::open(&path).unwrap_err().exit_code(), 3);
    };
    let refused = |name: &[u8; 8], change: &dyn Fn(&mut Vec<u8>)| {
        refused_in(sample_file(), name, change);
    };
    let nan = |at: usize| {
        move |payload: &mut Vec<u8>| payload[4 * at..][..4].copy_from_slice(&f32::NAN.to_le_bytes())
    };
    for name in &sections::TABLES {
        refused(name, &nan(17));
        refused(name, &|payload| payload.truncate(payload.len() - 4));
    }
    refused(&sections::THETAS, &nan(0));
    refused(&sections::BIAS, &|p| {
        p[..4].copy_from_slice(&f32::INFINITY.to_le_bytes())
    });
    refused(&sections::VECTORS, &nan(700));
    refused(&sections::SETTINGS, &|payload| payload[0] = 0xff);
    refused(&sections::TREE[0], &|payload| payload[4] ^= 1);
    refused(&sections::TREE[1], &|payload| payload[8] ^= 1);
    refused(&sections::TREE[2], &|payload| payload[0] ^= 1);
    // Sizes of the configuration: vocabulary, width, heads, context.
    for word in 1..5 {
        for value in [0, 3, u64::MAX, u64::MAX / 2 + 1] {
            refused(&sections::CONFIG, &|payload| {
                payload[8 * word..][..8].copy_from_slice(&u64::to_le_bytes(value));
            });
        }
    }
    let weights = &sections::LLAMA_WEIGHTS;
    refused_in(llama_file(), weights, &nan(4321));
    refused_in(llama_file(), weights, &|p| p.truncate(p.len() - 4));
    // Layers, heads, widths, theta, epsilon; then the kind of model, its sizes, a bias.
    let places = (0..6).map(|word| (&sections::LLAMA_CONFIG, word));
    for (name, word) in places.chain((0..7).map(|word| (&sections::CONFIG, word))) {
        for value in [u64::MAX, u64::MAX / 2 + 1, f32::NAN.to_bits().into()] {
            refused_in(llama_file(), name, &|payload| {
                payload[8 * word..][..8].copy_from_slice(&u64::to_le_bytes(value));
            });
        }
    }
    for (name, word) in [(&sections::LLAMA_CONFIG, 2), (&sections::CONFIG, 3)] {
        refused_in(llama_file(), name, &|payload| payload[8 * word] = 3);
    }
    let int8 = int8_file();
    for name in [&sections::LLAMA_NORMS, &sections::LLAMA_SCALES] {
        refused_in(&int8, name, &nan(7));
        refused_in(&int8, name, &|payload| payload.truncate(payload.len() - 4));
        refused_in(&int8, name, &|payload| payload.truncate(payload.len() - 1));
    }
    refused_in(&int8, &sections::LLAMA_VALUES, &|payload| {
        payload.pop();
    });
    for (name, words) in [(&sections::LLAMA_CONFIG, 6), (&sections::CONFIG, 7)] {
        for word in 0..words {
            refused_in(&int8, name, &|payload| {
                payload[8 * word..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
            });
        }
    }
}
