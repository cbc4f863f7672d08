"""What gensim makes of a word2vec file, as JSON: `FILE binary|text [ANALOGIES PAIRS]`."""

import json
import sys

from gensim.models import KeyedVectors

path, kind, *test_sets = sys.argv[1:]
vectors = KeyedVectors.load_word2vec_format(path, binary=kind == "binary")
if not test_sets:
    report = {"words": vectors.index_to_key, "vectors": vectors.vectors.tolist()}
else:
    analogies, pairs = test_sets
    _, sections = vectors.evaluate_word_analogies(analogies, restrict_vocab=30000, case_insensitive=True)
    pearson, spearman, unknown = vectors.evaluate_word_pairs(pairs, restrict_vocab=30000, case_insensitive=True)
    report = {
        "sections": [[len(s["correct"]), len(s["correct"]) + len(s["incorrect"])] for s in sections],
        "pearson": float(pearson.statistic),
        "spearman": float(spearman.statistic),
        "unknown_percent": float(unknown),
    }
print(json.dumps(report))
