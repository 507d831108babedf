/*
 * threads.h: threads and their stacks.
 *
 * The newest THREAD event of each pthread_t. glibc puts the thread's descriptor at the top of the
 * mapping that holds its stack and keeps both for the next thread when it ends
 * (nptl/allocatestack.c), or unmaps them unseen. So a thread is over where another one has its
 * descriptor or its kernel id, where a list of the process's threads lacks it, or where it was over
 * when its event was written. Of threads that are over only the last few thousand are remembered.
 * Addresses in bytes. One thread at a time.
 */
#ifndef VMT_THREADS_H
#define VMT_THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vmt_thread_stack {
	uint64_t descriptor;  /* pthread_t */
	uint64_t top;	      /* end of the page that ends the descriptor */
	uint64_t asked_bytes; /* of stack; 0 = not known */
	uint64_t held_bytes;  /* what its site counts as reserved for it */
	uint64_t time;	      /* of its event, in ticks */
	uint64_t call;	      /* whose memory its stack is, where that call was seen; else 0 */
	uint32_t tid;	      /* 0 = not known */
	uint32_t site;
	bool over;
	bool callers; /* the stack lies in memory that the program gave */
};

struct vmt_threads;

struct vmt_threads *vmt_threads_new(void);
/* As vmt_blocks_fork. */
void vmt_threads_fork(struct vmt_threads *threads, bool with_it);
void vmt_threads_free(struct vmt_threads *threads);

/* Called for each thread as it turns out to be over. */
struct vmt_threads_sink {
	void (*over)(void *context, const struct vmt_thread_stack *thread);
	void *context;
};

/* Adds a thread. One with its descriptor or its kernel id is over. 0 or -ENOMEM. */
int vmt_threads_put(struct vmt_threads *threads, const struct vmt_thread_stack *thread,
		    const struct vmt_threads_sink *sink);

/* The kernel ids of all threads at that time, rising: those that began before and are not among
 * them are over. */
void vmt_threads_keep(struct vmt_threads *threads, uint64_t time, const uint32_t *tids,
		      size_t count, const struct vmt_threads_sink *sink);

/* Those that own a stack, by rising descriptor; valid until the next put or keep. */
struct vmt_thread_stack *vmt_threads_owners(struct vmt_threads *threads, size_t *count);

/* The first whose descriptor's page ends after address, or NULL: of those that own a stack, and of
 * the others. */
struct vmt_thread_stack *vmt_threads_owner_after(struct vmt_threads *threads, uint64_t address);
const struct vmt_thread_stack *vmt_threads_over_after(struct vmt_threads *threads,
						      uint64_t address);

#endif
