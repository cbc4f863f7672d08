/* C interface of barelm's kernels. Generated from kernels/capi by cbindgen: do not edit.
 *
 * Every buffer is the caller's. Handles lie in memory of the size that a function tells, and stay
 * valid as long as that memory, the file and the workspace do. Buffers of one call must not overlap.
 * Null, misaligned and short buffers are errors; an empty buffer may be null.
 */

#ifndef BARELM_H
#define BARELM_H

#include <stddef.h>
#include <stdint.h>

/*
 Outcome of a call.
 */
typedef enum barelm_status {
  /*
   All went well.
   */
  BARELM_STATUS_OK,
  /*
   A pointer is null, and its buffer not empty.
   */
  BARELM_STATUS_NULL,
  /*
   A pointer is not aligned to what it points to; a file not to 64.
   */
  BARELM_STATUS_MISALIGNED,
  /*
   A buffer is too short.
   */
  BARELM_STATUS_TOO_SHORT,
  /*
   Lengths do not fit each other.
   */
  BARELM_STATUS_SHAPE,
  /*
   A file is damaged, of another kind, or contradicts itself.
   */
  BARELM_STATUS_FORMAT,
  /*
   A token is not of the vocabulary.
   */
  BARELM_STATUS_TOKEN,
  /*
   Sampling that makes no sense, or no logit that could be drawn.
   */
  BARELM_STATUS_SAMPLING,
  /*
   The tokenizer cuts text by a regular expression, which kernels do not run.
   */
  BARELM_STATUS_PATTERN,
} barelm_status;

/*
 A model that was checked. The file must stay where it is.
 */
typedef struct barelm_model barelm_model;

/*
 A model and the last tokens that it has read.
 */
typedef struct barelm_session barelm_session;

/*
 What a caller must know of a model.
 */
typedef struct barelm_info {
  /*
   Tokens: the length of logits, and of the order that sampling needs.
   */
  uintptr_t vocab_size;
  /*
   Most tokens that a prediction looks at.
   */
  uintptr_t context;
  /*
   Floats of workspace of a session.
   */
  uintptr_t session_floats;
} barelm_info;

/*
 How to draw the next token.
 */
typedef struct barelm_sampling {
  /*
   Logits are divided by it; 0 chooses the largest logit, 1 leaves them as they are.
   */
  float temperature;
  /*
   Only this many of the likeliest are left; 0 is off.
   */
  uintptr_t top_k;
  /*
   Of these, only the fewest likeliest whose probability reaches this; 1 is off.
   */
  float top_p;
} barelm_sampling;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 The outcome in words: static, ends with zero, never null.
 */
const char *barelm_status_name(enum barelm_status status);

/*
 `*out = sum_i a[i] * b[i]`.

 # Safety
 `a` and `b` point to `len` floats, `out` to one.
 */
enum barelm_status barelm_dot(const float *a, const float *b, uintptr_t len, float *out);

/*
 `x[i] = 1 / (1 + exp(-x[i]))`, by a table of 516 bytes.

 # Safety
 `x` points to `len` floats.
 */
enum barelm_status barelm_sigmoid_table(float *x, uintptr_t len);

/*
 `x[i] = exp(x[i]) / sum_j exp(x[j])`.

 # Safety
 `x` points to `len` floats.
 */
enum barelm_status barelm_softmax(float *x, uintptr_t len);

/*
 Bytes of memory for a handle of a model, wherever they start.
 */
uintptr_t barelm_model_size(void);

/*
 Words of scratch that `barelm_model_open` needs for a file.

 # Safety
 `bytes` points to the `len` bytes of the file, at a multiple of 64; `words` to one number.
 */
enum barelm_status barelm_model_check_words(const uint8_t *bytes, uintptr_t len, uintptr_t *words);

/*
 Checks a file, every byte of it, and puts a handle of its model in `memory`.

 `memory` has `barelm_model_size` bytes; `scratch` is free again afterwards.

 # Safety
 Pointers point to as many elements as their lengths say; `memory` belongs to the handle from now
 on, and the file stays as it is as long as the handle is in use.
 */
enum barelm_status barelm_model_open(uint8_t *memory,
                                     uintptr_t memory_len,
                                     const uint8_t *bytes,
                                     uintptr_t len,
                                     uint32_t *scratch,
                                     uintptr_t scratch_len,
                                     const struct barelm_model **model);

/*
 Sizes of a model.

 # Safety
 `model` is a handle of `barelm_model_open`, or null; `info` points to one [`Info`].
 */
enum barelm_status barelm_model_info(const struct barelm_model *model, struct barelm_info *info);

/*
 Words of scratch that `barelm_encode` needs for text whose longest word has so many bytes.
 */
uintptr_t barelm_encode_scratch_words(uintptr_t longest_piece);

/*
 Turns text into tokens, at most one a byte; `*count` becomes their number.

 # Safety
 `model` is a handle; other pointers point to as many elements as their lengths say.
 */
enum barelm_status barelm_encode(const struct barelm_model *model,
                                 const uint8_t *text,
                                 uintptr_t text_len,
                                 uint32_t *tokens,
                                 uintptr_t tokens_len,
                                 uint32_t *scratch,
                                 uintptr_t scratch_len,
                                 uintptr_t *count);

/*
 Turns tokens into text, which does not end with zero; `*count` becomes its number of bytes.

 # Safety
 `model` is a handle; other pointers point to as many elements as their lengths say.
 */
enum barelm_status barelm_decode(const struct barelm_model *model,
                                 const uint32_t *tokens,
                                 uintptr_t tokens_len,
                                 uint8_t *text,
                                 uintptr_t text_len,
                                 uintptr_t *count);

/*
 Bytes of memory for a handle of a session, wherever they start.
 */
uintptr_t barelm_session_size(void);

/*
 Puts a session that has read nothing in `memory`, of `barelm_session_size` bytes.

 # Safety
 `model` is a handle; `workspace` points to `workspace_len` floats, [`Info`](crate::Info) says how
 many are needed; it and `memory` belong to the session from now on.
 */
enum barelm_status barelm_session_open(uint8_t *memory,
                                       uintptr_t memory_len,
                                       const struct barelm_model *model,
                                       float *workspace,
                                       uintptr_t workspace_len,
                                       struct barelm_session **session);

/*
 Reads a token.

 # Safety
 `session` is a handle, or null.
 */
enum barelm_status barelm_session_push(struct barelm_session *session, uint32_t token);

/*
 Logits of the next token, one a token of the vocabulary.

 # Safety
 `session` is a handle, or null; `logits` points to `len` floats.
 */
enum barelm_status barelm_session_logits(struct barelm_session *session,
                                         float *logits,
                                         uintptr_t len);

/*
 Draws the next token and reads it.

 `rng` holds the two words of the generator's state: any two to begin with, kept between calls. `logits` and
 `order` have one element a token of the vocabulary, and are scratch.

 # Safety
 `session` is a handle, or null; `rng` points to two words, other pointers to as many elements as
 their lengths say, `token` to one.
 */
enum barelm_status barelm_session_generate(struct barelm_session *session,
                                           const struct barelm_sampling *sampling,
                                           uint64_t *rng,
                                           float *logits,
                                           uintptr_t logits_len,
                                           uint32_t *order,
                                           uintptr_t order_len,
                                           uint32_t *token);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* BARELM_H */
