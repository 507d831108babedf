/*
 * roomy.h: where static buffers of a page and more lie
 *
 * Each page of the library's data that a process touches costs a page fault, and a copy in the
 * child of a fork. Between large buffers the small variables of each module have a page of their
 * own. So the buffers are gathered behind them: by the name of their section, which the linker
 * sorts by. Where it does not, all works as well.
 */
#ifndef VMT_ROOMY_H
#define VMT_ROOMY_H

/* Of a static variable without a value. Each begins with a page of its own (where pages are larger
 * than usual, not always): what is used of it is most often its beginning. */
#define VMT_ROOMY __attribute__((section(".bss.roomy"), aligned(4096)))

#endif
