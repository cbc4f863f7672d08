//! Texts on which barelm and its peers are compared.

use barelm::kernels::rng::Rng;

/// Characters that the patterns treat by rules of their own, and plain ones.
const AWKWARD: &str = "  \t\n\r\u{85}\u{a0}\u{3000}''sStTdDmMlLvVrReE\u{17f}aZé09/!.-_\u{301}ǅʰª\
    中文ñ٣½Ⅷ\u{200b}\u{200d}😀\u{feff}\u{e000}𝔸";

/// Texts of every kind: prose, code, numbers, white space, several scripts, random Unicode.
pub fn texts() -> Vec<String> {
    let fixed = [
        "",
        " ",
        "\n",
        "It's 1984, isn't it? I'LL say: \"ñandú 中文\"!\n\n\tfn main() { let x = 12345; }  \n ",
        "  leading and   inner  and trailing white space \t\r\n\r\n  ",
        "Straße ΔΕΛΤΑ дельта हिन्दी ภาษาไทย 한국어 日本語 العربية 👩‍👩‍👧‍👦",
        "https://example.org/a/b?c=d&e=f#g 3.14159e-10 0xdeadbeef 1,000,000",
    ];
    let mut rng = Rng::new(2024);
    let random = (0..2000).map(|_| random_text(&mut rng)).collect::<Vec<_>>();
    fixed.map(String::from).into_iter().chain(random).collect()
}

fn random_text(rng: &mut Rng) -> String {
    let pool: Vec<char> = AWKWARD.chars().collect();
    let any = rng.below(3) == 0;
    let len = rng.below(60);
    let mut next = || match any {
        true => char::from_u32(rng.below(0x3_3000) as u32).unwrap_or(' '),
        false => pool[rng.below(pool.len() as u64) as usize],
    };
    (0..len).map(|_| next()).collect()
}

/// A text to train a vocabulary on.
pub fn training_text() -> String {
    let words = "the of and to in a is that it was for on are as with his they at be this from I \
        have or by one had not but what all were when we there can an your which their said if do \
        don't won't it's I'll 1984 2024 12345 été naïve 中文 日本語 = == != { } () // :: -> \n \n\n";
    let words: Vec<&str> = words.split(' ').collect();
    let mut rng = Rng::new(7);
    let mut word = || {
        // A frequent word more often than a rare one.
        let most = rng.below(words.len() as u64) + 1;
        words[rng.below(most) as usize]
    };
    (0..20_000).map(|_| word()).collect::<Vec<_>>().join(" ")
}
