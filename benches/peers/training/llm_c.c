// llm.c's GPT-2 on tokens of our own, for compare.py: reads windows from standard input, trains on each batch, and prints its loss
// and seconds. Built with -I to a checkout of llm.c; arguments: checkpoint, windows a step, tokens a window.
#define TESTING
#include "train_gpt2.c"

int main(int count, char **arguments) {
    if (count != 4) return 2;
    GPT2 model;
    gpt2_build_from_checkpoint(&model, arguments[1]);
    int windows = atoi(arguments[2]), context = atoi(arguments[3]), size = windows * context;
    int *inputs = mallocCheck(2 * size * sizeof(int)), *targets = inputs + size;
    for (int step = 0; fread(inputs, sizeof(int), 2 * size, stdin) == (size_t)(2 * size); step++) {
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        gpt2_forward(&model, inputs, targets, windows, context);
        gpt2_zero_grad(&model);
        gpt2_backward(&model);
        gpt2_update(&model, 3e-3f, 0.9f, 0.99f, 1e-8f, 0.1f, step + 1);
        clock_gettime(CLOCK_MONOTONIC, &end);
        printf("step %f %f\n", model.mean_loss, end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) * 1e-9);
        fflush(stdout);
    }
    return 0;
}
