/*
 * atomic.h: the memory orders of words that threads or processes share
 *
 * Thin names for the compiler's atomic builtins, so that every access to memory
 * that two sides share is visible in the source with its order. The exhaustive
 * interleaving test (tests/race) replaces this header by one that yields to its
 * scheduler at every access: hence no access to shared words goes round it.
 *
 * Thread safety: all. Signal safety: all (lock-free on every supported machine).
 */
#ifndef VMT_ATOMIC_H
#define VMT_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#define vmt_atomic_load_relaxed(pointer) __atomic_load_n((pointer), __ATOMIC_RELAXED)
#define vmt_atomic_load_acquire(pointer) __atomic_load_n((pointer), __ATOMIC_ACQUIRE)
#define vmt_atomic_store_relaxed(pointer, value)                                                   \
	__atomic_store_n((pointer), (value), __ATOMIC_RELAXED)
#define vmt_atomic_store_release(pointer, value)                                                   \
	__atomic_store_n((pointer), (value), __ATOMIC_RELEASE)
#define vmt_atomic_add_relaxed(pointer, value)                                                     \
	__atomic_fetch_add((pointer), (value), __ATOMIC_RELAXED)

#define vmt_atomic_or_relaxed(pointer, bits) __atomic_fetch_or((pointer), (bits), __ATOMIC_RELAXED)

/* Compare and swap, strong: *expected receives the value found. Success orders as acquire and
 * release, failure as acquire. */
#define vmt_atomic_cas(pointer, expected, desired)                                                 \
	__atomic_compare_exchange_n((pointer), (expected), (desired), false, __ATOMIC_ACQ_REL,     \
				    __ATOMIC_ACQUIRE)

/* Orders all loads before it before all loads and stores after it. */
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan" /* knows no fences; what they order here are atomics */
#endif
#define vmt_atomic_fence_acquire() __atomic_thread_fence(__ATOMIC_ACQUIRE)

/* Orders all before it before all after it, a store before a load too. */
#define vmt_atomic_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)

#endif
