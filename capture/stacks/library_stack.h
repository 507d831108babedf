/*
 * library_stack.h: where does the C library say that the calling thread's stack begins?
 *
 * musl keeps it in the thread's control block, written before the thread runs. Its own code gives
 * the same words to pthread_getattr_np. They are believed where they lie around the stack pointer.
 *
 * Facts, x86-64: struct pthread of musl 1.2.3 (src/internal/pthread_impl.h: tid at 0x30, stack, the
 * end, at 0x58, stack_size at 0x60). Async-signal-safe. System calls must be allowed.
 */
#ifndef VMT_LIBRARY_STACK_H
#define VMT_LIBRARY_STACK_H

#include "capture/core/thread.h"

#include <stdint.h>

/* 0: that is not known, as in every program that loads a library. sp: the thread's, right now. */
uint64_t vmt_library_stack_low(const struct vmt_thread *thread, uint64_t sp);

#endif
