/* The model's bytes, at a multiple of 64. */
    .section .rodata.model, "a"
    .balign 64
    .globl model_start, model_end
model_start:
    .incbin "llama_int8.barelm"
model_end:
    .section .note.GNU-stack, "", %progbits
