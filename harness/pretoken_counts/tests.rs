use super::*;

fn count(text: &[u8], pattern: &str, mode: CountMode, threads: usize) -> PretokenCounts {
    let corpus = Corpus::from_bytes("text", text.to_vec());
    let progress = Progress::new("test", corpus.bytes(), "bytes");
    PretokenCounts::count(
        &corpus,
        &HarnessPattern::parse(pattern).unwrap(),
        mode,
        threads,
        &progress,
    )
    .unwrap()
}

fn list(counts: &PretokenCounts) -> Vec<(String, u64)> {
    let text = |(word, count): (&[u8], u64)| (String::from_utf8_lossy(word).into_owned(), count);
    counts.iter().map(text).collect()
}

#[test]
fn pretokens_of_every_length_are_counted_and_sorted() {
    let word = |len: usize| "abcdefghijklmnopqrstuvwxyz".repeat(2)[..len].to_owned();
    let text: Vec<String> = (1..=52)
        .flat_map(|len| vec![word(len); 1 + len % 3])
        .collect();
    let counts = count(
        text.join("\n").as_bytes(),
        "whitespace",
        CountMode::Lines,
        1,
    );
    let mut expected: Vec<_> = (1..=52)
        .map(|len| (word(len), 1 + len as u64 % 3))
        .collect();
    expected.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    assert_eq!(list(&counts), expected);
    assert_eq!(counts.total(), text.len() as u64);
}

#[test]
fn lines_and_documents_differ_at_runs_of_newlines() {
    let text = b"a\n\nb\n\nc";
    let lines = count(text, "gpt2", CountMode::Lines, 1);
    assert_eq!(list(&lines)[0], ("\n".into(), 4));
    let documents = count(text, "cl100k", CountMode::Documents, 1);
    assert_eq!(list(&documents)[0], ("\n\n".into(), 2));
}

#[test]
fn threads_do_not_change_the_counts() {
    let mut rng = barelm_kernels::rng::Rng::new(7);
    let mut text = Vec::new();
    while text.len() < 4 << 20 {
        let word = 1 + rng.below(9);
        text.extend((0..word).map(|_| b'a' + rng.below(3) as u8));
        text.push(if rng.below(8) == 0 { b'\n' } else { b' ' });
    }
    for pattern in ["gpt2", r"\w+|\s"] {
        for mode in [CountMode::Lines, CountMode::Documents] {
            let one = list(&count(&text, pattern, mode, 1));
            assert_eq!(list(&count(&text, pattern, mode, 3)), one);
            let whole: u64 = one.iter().map(|(word, n)| word.len() as u64 * n).sum();
            assert_eq!(whole, text.len() as u64);
        }
    }
}

#[test]
fn text_without_pretokens_is_refused() {
    let corpus = Corpus::from_bytes("blank.txt", b" \n\n ".to_vec());
    let pattern = HarnessPattern::parse("whitespace").unwrap();
    let progress = Progress::new("test", 4, "bytes");
    let counted = PretokenCounts::count(&corpus, &pattern, CountMode::Lines, 1, &progress);
    let error = counted.unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(
        error.to_string().starts_with("blank.txt: no pretoken"),
        "{error}"
    );
}

/// Words of a few letters, some of them long, many of them rare.
fn random_text(seed: u64, len: usize) -> Vec<u8> {
    let mut rng = barelm_kernels::rng::Rng::new(seed);
    let mut text = Vec::new();
    while text.len() < len {
        let longest = [4, 9, 30][rng.below(3) as usize];
        let word = 1 + rng.below(longest);
        text.extend((0..word).map(|_| b'a' + rng.below(12) as u8));
        text.push(if rng.below(8) == 0 { b'\n' } else { b' ' });
    }
    text
}

fn count_with(text: &[u8], options: &CountOptions) -> Result<PretokenCounts> {
    let corpus = Corpus::from_bytes("text", text.to_vec());
    let pattern = HarnessPattern::parse("gpt2").unwrap();
    let progress = Progress::new("test", corpus.bytes(), "bytes");
    PretokenCounts::count_with(&corpus, &pattern, options, &progress)
}

#[test]
fn a_bound_on_the_memory_does_not_change_the_counts() {
    let text = random_text(3, 6 << 20);
    let expected = list(&count(&text, "gpt2", CountMode::Lines, 1));
    let folder = tempfile::tempdir().unwrap();
    for threads in [1, 2] {
        let options = CountOptions {
            threads,
            memory: threads * CountOptions::LEAST_MEMORY,
            folder: folder.path().into(),
            ..CountOptions::default()
        };
        let counts = count_with(&text, &options).unwrap();
        assert!(counts.words.is_file(), "the bound was not reached");
        assert_eq!(list(&counts), expected);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_table_keeps_to_its_bound_and_its_runs_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let runs = RunFile::temporary(folder.path());
    let text = random_text(4, 4 << 20);
    let mut table = Table::new(CountOptions::LEAST_MEMORY, &runs);
    let mut whole = Table::new(usize::MAX, &runs);
    let pattern = HarnessPattern::parse("gpt2").unwrap();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        table.count(line, &pattern);
        whole.count(line, &pattern);
        assert!(table.memory() <= CountOptions::LEAST_MEMORY);
    }
    let whole = run_of(whole);
    table.flush().unwrap();
    let mapped = runs.map().unwrap();
    assert!(mapped.iter().count() > 20);
    assert!(run::Merged::new(mapped.iter()).eq(run::Records(&whole)));
}

#[test]
fn a_pretoken_larger_than_the_bound_is_counted() {
    let mut text = vec![b'a'; 3 << 20];
    text.extend(b" b b");
    let options = CountOptions {
        memory: CountOptions::LEAST_MEMORY,
        ..CountOptions::default()
    };
    let counts = count_with(&text, &options).unwrap();
    assert_eq!((counts.len(), counts.total()), (2, 3));
    assert_eq!(counts.distinct_bytes(), (3 << 20) + 2);
}

#[test]
fn counting_goes_on_where_it_was_killed() {
    let text = random_text(5, 8 << 20);
    let expected = list(&count(&text, "gpt2", CountMode::Lines, 1));
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("out.json.work");
    let options = CountOptions {
        work: Some(work.clone()),
        interval: 1 << 20,
        ..CountOptions::default()
    };
    assert_eq!(list(&count_with(&text, &options).unwrap()), expected);

    // As if killed after five intervals, in the middle of writing a run.
    let state = std::fs::read_to_string(work.join("state.json")).unwrap();
    let mut state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let ends = state["ends"].as_array_mut().unwrap();
    assert_eq!(ends.len(), 8);
    ends.truncate(5);
    let corpus = Corpus::from_bytes("text", text.clone());
    let cuts = cuts(&HarnessPattern::parse("gpt2").unwrap(), CountMode::Lines);
    state["position"] = corpus.chunks_at(CHUNK_LEN, cuts)[4].range().end.into();
    std::fs::write(work.join("state.json"), state.to_string()).unwrap();
    let pattern = HarnessPattern::parse("gpt2").unwrap();
    let progress = Progress::new("test", corpus.bytes(), "bytes");
    let resumed = PretokenCounts::count_with(&corpus, &pattern, &options, &progress).unwrap();
    assert_eq!(list(&resumed), expected);

    let other = random_text(6, 8 << 20);
    let error = count_with(&other, &options).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    assert!(error.to_string().contains("another corpus"), "{error}");
    PretokenCounts::forget(&work).unwrap();
    assert!(!work.exists());
}

#[test]
fn an_estimate_is_of_the_right_order() {
    let text = random_text(8, 32 << 20);
    let corpus = Corpus::from_bytes("text", text);
    let pattern = HarnessPattern::parse("gpt2").unwrap();
    let options = CountOptions::default();
    let estimate = Estimate::sampled(&corpus, &pattern, &options).unwrap();
    let progress = Progress::new("test", corpus.bytes(), "bytes");
    let counts = PretokenCounts::count_with(&corpus, &pattern, &options, &progress).unwrap();
    let ratio = estimate.pretokens / counts.len() as f64;
    assert!((0.3..3.0).contains(&ratio), "{ratio}");
    let small = Corpus::from_bytes("text", b"a b".to_vec());
    assert_eq!(Estimate::new(&small, &pattern, &options).unwrap(), None);
}

#[test]
fn a_bound_that_is_too_small_and_a_missing_folder_are_refused() {
    let small = CountOptions {
        memory: 1000,
        ..CountOptions::default()
    };
    assert_eq!(count_with(b"a", &small).unwrap_err().exit_code(), 2);
    let nowhere = CountOptions {
        memory: CountOptions::LEAST_MEMORY,
        folder: "/nowhere/at/all".into(),
        ..CountOptions::default()
    };
    let error = count_with(&random_text(7, 4 << 20), &nowhere).unwrap_err();
    assert_eq!(error.exit_code(), 4);
}

#[test]
fn lines_give_the_pretokens_of_each_line_alone() {
    let characters = [
        "a", "b", " ", "\n", "\n", "\n", "\r", "\t", ".", "/", "1", "'", "s", "A", "é", "\u{A0}",
        "\u{3000}", "中", "\u{301}", "\u{85}", "\x1F",
    ];
    let mut rng = barelm_kernels::rng::Rng::new(9);
    let n = characters.len() as u64;
    let mut draw = || characters[rng.below(n) as usize];
    let text: String = (0..100_000).map(|_| draw()).collect();
    for pattern in ["gpt2", "cl100k", "o200k", "whitespace", r"\s\S+|\w+"] {
        let parsed = HarnessPattern::parse(pattern).unwrap();
        let mut alone = Vec::new();
        for line in text.as_bytes().split_inclusive(|byte| *byte == b'\n') {
            parsed.for_each_piece(line, |piece| alone.push((piece, 1)));
        }
        let expected = PretokenCounts::from_counts(parsed, alone);
        let counted = count(text.as_bytes(), pattern, CountMode::Lines, 1);
        assert_eq!(list(&counted), list(&expected), "{pattern}");
    }
}
