/*
 * threads.h: whose stack is that?
 *
 * The newest THREAD event of each pthread_t. glibc puts the thread's descriptor at the top of the
 * mapping that holds its stack and keeps both for the next thread when it ends, so an entry holds
 * until another one has the same address. Addresses in bytes. One thread at a time.
 */
#ifndef VMT_THREADS_H
#define VMT_THREADS_H

#include <stddef.h>
#include <stdint.h>

struct vmt_thread_stack {
	uint64_t descriptor;  /* pthread_t */
	uint64_t top;	      /* end of the page that ends the descriptor */
	uint64_t asked_bytes; /* of stack; 0 = the default */
	uint32_t site;
};

struct vmt_threads;

struct vmt_threads *vmt_threads_new(void);
void vmt_threads_free(struct vmt_threads *threads);

/* Adds a thread or replaces the one with its descriptor. 0 or -ENOMEM. */
int vmt_threads_put(struct vmt_threads *threads, const struct vmt_thread_stack *thread);

/* All of them by rising descriptor, valid until the next put. */
const struct vmt_thread_stack *vmt_threads_sorted(struct vmt_threads *threads, size_t *count);

#endif
