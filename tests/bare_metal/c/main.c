/* Text and tokens from C: the same checksums on a host and on a Cortex-M4F. */
#include "barelm.h"
#include <stdio.h>

/* A model in flash, at a multiple of 64; see model.s. */
extern const uint8_t model_start[], model_end[];

static uint8_t model_memory[1024], session_memory[1024];
static float workspace[40 * 1024], logits[1024];
static uint32_t words[1024], tokens[64], scratch[1024];

static uint64_t add(uint64_t sum, const void *bytes, size_t len) {
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < len; i++) sum = (sum ^ byte[i]) * 0x100000001B3u;
    return sum;
}

static void line(const char *name, const void *bytes, size_t len) {
    uint64_t sum = add(0xCBF29CE484222325u, bytes, len);
    printf("%s %08lx%08lx\n", name, (unsigned long)(sum >> 32), (unsigned long)(sum & 0xFFFFFFFFu));
}

#define CHECK(call) do { \
    barelm_status status = (call); \
    if (status != BARELM_STATUS_OK) { printf("%s: %s\n", #call, barelm_status_name(status)); return 1; } \
} while (0)

#define REFUSED(call, wanted) do { \
    barelm_status status = (call); \
    if (status != (wanted)) { printf("%s: %s\n", #call, barelm_status_name(status)); return 1; } \
    printf("refused: %s\n", barelm_status_name(status)); \
} while (0)

static int kernels(void) {
    float x[100], y[100], dot;
    for (int i = 0; i < 100; i++) { x[i] = (float)(i % 17) * 0.125f - 1.0f; y[i] = (float)(i % 13) * 0.25f - 1.5f; }
    CHECK(barelm_dot(x, y, 100, &dot));
    line("dot", &dot, sizeof dot);
    CHECK(barelm_softmax(x, 100));
    line("softmax", x, sizeof x);
    CHECK(barelm_sigmoid_table(y, 100));
    line("sigmoid_table", y, sizeof y);
    REFUSED(barelm_dot(NULL, y, 100, &dot), BARELM_STATUS_NULL);
    REFUSED(barelm_softmax((float *)((uint8_t *)x + 1), 9), BARELM_STATUS_MISALIGNED);
    return 0;
}

static int model(void) {
    const size_t len = (size_t)(model_end - model_start);
    const char *text = "Once upon a time, ";
    const barelm_model *model;
    barelm_session *session;
    barelm_info info;
    size_t needed, count;
    if (barelm_model_size() > sizeof model_memory || barelm_session_size() > sizeof session_memory) return 1;
    CHECK(barelm_model_check_words(model_start, len, &needed));
    REFUSED(barelm_model_open(model_memory, 8, model_start, len, words, 1024, &model), BARELM_STATUS_TOO_SHORT);
    REFUSED(barelm_model_open(model_memory, sizeof model_memory, model_start, len - 64, words, 1024, &model), BARELM_STATUS_FORMAT);
    CHECK(barelm_model_open(model_memory, sizeof model_memory, model_start, len, words, 1024, &model));
    CHECK(barelm_model_info(model, &info));
    printf("vocabulary %lu, context %lu\n", (unsigned long)info.vocab_size, (unsigned long)info.context);
    REFUSED(barelm_encode(model, (const uint8_t *)text, 18, tokens, 1, scratch, 1024, &count), BARELM_STATUS_TOO_SHORT);
    CHECK(barelm_encode(model, (const uint8_t *)text, 18, tokens, 64, scratch, 1024, &count));
    line("encode", tokens, count * sizeof *tokens);
    REFUSED(barelm_session_open(session_memory, sizeof session_memory, model, workspace, 7, &session), BARELM_STATUS_TOO_SHORT);
    CHECK(barelm_session_open(session_memory, sizeof session_memory, model, workspace, sizeof workspace / sizeof *workspace, &session));
    REFUSED(barelm_session_push(session, 1u << 30), BARELM_STATUS_TOKEN);
    for (size_t i = 0; i < count; i++) CHECK(barelm_session_push(session, tokens[i]));
    CHECK(barelm_session_logits(session, logits, info.vocab_size));
    line("logits", logits, info.vocab_size * sizeof *logits);
    const barelm_sampling sampling = { 0.8f, 40, 0.95f };
    uint64_t rng[2] = { 1, 3 };
    uint8_t out[64];
    for (int i = 0; i < 24; i++) {
        CHECK(barelm_session_generate(session, &sampling, rng, logits, 1024, words, 1024, &tokens[i]));
    }
    line("tokens", tokens, 24 * sizeof *tokens);
    for (int i = 0; i < 24; i++) {
        CHECK(barelm_decode(model, &tokens[i], 1, out, sizeof out, &count));
        printf("%.*s", (int)count, (const char *)out);
    }
    printf("\n");
    return 0;
}

int main(void) {
    return kernels() || model();
}
