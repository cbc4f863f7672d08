/* Start of a Cortex-M4F before newlib: FPU, variables, semihosting. */
#include <stdint.h>
#include <stdlib.h>

extern uint32_t stack_top, data_start, data_end, data_image, bss_start, bss_end;
extern void initialise_monitor_handles(void);
extern int main(void);

static void start(void) {
    *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20;
    __asm__ volatile("dsb\n isb");
    uint32_t *to = &data_start, *from = &data_image;
    while (to < &data_end) *to++ = *from++;
    for (to = &bss_start; to < &bss_end; to++) *to = 0;
    initialise_monitor_handles();
    exit(main());
}

static void stop(void) { for (;;) {} }

__attribute__((section(".vectors"), used))
static const void *const vectors[16] = { &stack_top, (const void *)start, (const void *)stop, (const void *)stop,
    (const void *)stop, (const void *)stop, (const void *)stop };
