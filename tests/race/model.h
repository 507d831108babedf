/*
 * model.h: which states can a handful of threads reach, over all interleavings?
 *
 * Runs up to MODEL_THREADS coroutines over one block of shared memory, switching at every access to
 * a shared word, and visits every state that any interleaving reaches. A state is the shared memory
 * and each coroutine's stack and registers; states seen before are not entered twice, so the search
 * is complete without a bound on switches, and the number of interleavings (paths) is known from
 * the number of paths below each state. Threads are deterministic and may talk through the shared
 * memory alone. A state that is its own successor (a loop that waits for another thread) is an
 * error: nothing here may wait.
 *
 * A mortal thread may stop for ever before any access: the final check also runs in every state in
 * which mortal threads alone have not ended. Where others act upon its death, one of them kills it.
 *
 * Single-threaded; for one test program (it defines what it declares).
 */
#ifndef MODEL_H
#define MODEL_H

#include "tests/race/model_atomic.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define MODEL_THREADS 4u
#define MODEL_STACK_BYTES 65536u
#define MODEL_DEPTH 1024u
#define MODEL_TABLE_BITS 22u

struct model_thread {
	void (*body)(unsigned self);
	bool mortal;
	bool ended;
	bool killed; /* for good; the others may know */
	jmp_buf at;
	unsigned char *low; /* its stack pointer when it last yielded */
};

struct model_result {
	uint64_t states;
	uint64_t steps;	 /* transitions executed */
	double paths;	 /* interleavings that these stand for */
	uint64_t finals; /* states in which the final check ran */
	char violation[160];
};

struct model_entry {
	uint64_t key[2];
	double paths; /* < 0: being visited */
};

struct model_snapshot {
	struct model_thread threads[MODEL_THREADS];
	size_t bytes;
	unsigned char *copy; /* shared memory, then each stack */
};

static struct {
	struct model_thread threads[MODEL_THREADS];
	unsigned thread_count;
	unsigned running;
	bool inside; /* a coroutine runs: yields switch */
	void *shared;
	size_t shared_bytes;
	void (*final)(void);
	jmp_buf scheduler;
	struct model_snapshot snapshots[MODEL_DEPTH];
	struct model_entry *table;
	struct model_result result;
} model;

static _Alignas(64) unsigned char model_stacks[MODEL_THREADS][MODEL_STACK_BYTES];

/* Notes the first violation; the search ends as soon as it can. */
#define MODEL_CHECK(condition, ...)                                                                \
	do {                                                                                       \
		if (!(condition) && model.result.violation[0] == 0)                                \
			snprintf(model.result.violation, sizeof(model.result.violation),           \
				 __VA_ARGS__);                                                     \
	} while (0)

/* Nothing below it is needed once a thread has yielded: what it called has returned by then. */
static inline __attribute__((always_inline)) unsigned char *
model_stack_pointer(void)
{
	unsigned char *pointer;

#if defined(__x86_64__)
	__asm__ volatile("mov %%rsp, %0" : "=r"(pointer));
#elif defined(__aarch64__)
	__asm__ volatile("mov %0, sp" : "=r"(pointer));
#else
	pointer = (unsigned char *)__builtin_frame_address(0) - 256;
#endif
	return pointer;
}

__attribute__((noinline)) void
model_yield(void)
{
	struct model_thread *thread = &model.threads[model.running];

	if (!model.inside)
		return;
	if (_setjmp(thread->at) == 0) {
		thread->low = model_stack_pointer();
		_longjmp(model.scheduler, 1);
	}
}

static void
model_enter(void)
{
	unsigned self = model.running;

	model_yield();
	model.threads[self].body(self);
	model.threads[self].ended = true;
	model.threads[self].low = model_stacks[self] + MODEL_STACK_BYTES;
	_longjmp(model.scheduler, 1);
}

/* By a thread that notes it in the shared memory. */
static inline void
model_kill(unsigned thread)
{
	MODEL_CHECK(model.threads[thread].mortal, "a thread is killed that is not mortal");
	model.threads[thread].killed = true;
}

/* Lets a thread make its pending access and go on to just before its next one. */
static void
model_step(unsigned thread)
{
	model.running = thread;
	model.inside = true;
	if (_setjmp(model.scheduler) == 0)
		_longjmp(model.threads[thread].at, 1);
	model.inside = false;
	model.result.steps++;
}

static void
model_start(unsigned thread)
{
	static ucontext_t here;
	ucontext_t fresh;

	memset(model_stacks[thread], 0, MODEL_STACK_BYTES);
	model.threads[thread].ended = false;
	getcontext(&fresh);
	fresh.uc_stack.ss_sp = model_stacks[thread];
	fresh.uc_stack.ss_size = MODEL_STACK_BYTES;
	fresh.uc_link = NULL;
	makecontext(&fresh, model_enter, 0);
	model.running = thread;
	model.inside = true;
	if (_setjmp(model.scheduler) == 0)
		swapcontext(&here, &fresh);
	model.inside = false;
}

static size_t
model_stack_used(unsigned thread)
{
	return (size_t)(model_stacks[thread] + MODEL_STACK_BYTES - model.threads[thread].low);
}

static void
model_save(struct model_snapshot *snapshot)
{
	size_t bytes = model.shared_bytes;
	unsigned char *to;

	for (unsigned i = 0; i < model.thread_count; i++)
		bytes += model_stack_used(i);
	if (bytes > snapshot->bytes) {
		free(snapshot->copy);
		snapshot->copy = malloc(bytes);
		snapshot->bytes = bytes;
	}
	to = snapshot->copy;
	memcpy(to, model.shared, model.shared_bytes);
	to += model.shared_bytes;
	for (unsigned i = 0; i < model.thread_count; i++) {
		memcpy(to, model.threads[i].low, model_stack_used(i));
		to += model_stack_used(i);
	}
	memcpy(snapshot->threads, model.threads, sizeof(model.threads));
}

static void
model_restore(const struct model_snapshot *snapshot)
{
	const unsigned char *from = snapshot->copy;

	memcpy(model.threads, snapshot->threads, sizeof(model.threads));
	memcpy(model.shared, from, model.shared_bytes);
	from += model.shared_bytes;
	for (unsigned i = 0; i < model.thread_count; i++) {
		memcpy(model.threads[i].low, from, model_stack_used(i));
		from += model_stack_used(i);
	}
}

static uint64_t
model_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static void
model_hash(uint64_t key[2], const void *bytes, size_t length)
{
	const unsigned char *at = bytes;

	for (; length != 0; length -= length < 16 ? length : 16) {
		uint64_t words[2] = {0, 0};

		memcpy(words, at, length < 16 ? length : 16);
		at += 16;
		key[0] = model_fold(key[0] ^ words[0], words[1] ^ UINT64_C(0x9e3779b97f4a7c15));
		key[1] = model_fold(key[1] + words[1], words[0] ^ UINT64_C(0xd6e8feb86659fd93));
	}
}

/* The table's entry of the present state, or an empty one for it. */
static struct model_entry *
model_find(void)
{
	uint64_t key[2] = {UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db)};
	uint64_t mask = (UINT64_C(1) << MODEL_TABLE_BITS) - 1;
	uint64_t index;

	model_hash(key, model.shared, model.shared_bytes);
	for (unsigned i = 0; i < model.thread_count; i++) {
		uint64_t used = model_stack_used(i);

		model_hash(key, &used, sizeof(used));
		model_hash(key, model.threads[i].low, used);
		if (!model.threads[i].ended)
			model_hash(key, &model.threads[i].at[0].__jmpbuf,
				   sizeof(model.threads[i].at[0].__jmpbuf));
	}
	key[0] |= 1; /* 0 marks an empty entry */
	for (index = key[0] >> 7;; index++) {
		struct model_entry *entry = &model.table[index & mask];

		if (entry->key[0] == 0 || (entry->key[0] == key[0] && entry->key[1] == key[1])) {
			entry->key[1] = entry->key[0] == 0 ? key[1] : entry->key[1];
			if (entry->key[0] == 0) {
				entry->key[0] = key[0];
				entry->paths = 0;
			}
			return entry;
		}
	}
}

static bool
model_is_final(void)
{
	for (unsigned i = 0; i < model.thread_count; i++)
		if (!model.threads[i].ended && !model.threads[i].mortal)
			return false;
	return true;
}

/* Visits all states from the present one on; the number of paths to an end. */
static double
model_explore(unsigned depth)
{
	struct model_entry *entry = model_find();
	struct model_snapshot *snapshot = &model.snapshots[depth];
	double paths = 0;

	MODEL_CHECK(entry->paths >= 0, "a thread waits for another");
	MODEL_CHECK(depth + 1 < MODEL_DEPTH, "too long a path");
	MODEL_CHECK(model.result.states < (UINT64_C(3) << MODEL_TABLE_BITS) / 4, "too many states");
	if (entry->paths != 0 || model.result.violation[0] != 0)
		return entry->paths;
	entry->paths = -1;
	model.result.states++;
	model_save(snapshot);
	if (model_is_final()) {
		model.result.finals++;
		model.final();
		paths = 1;
		model_restore(snapshot);
	}
	for (unsigned i = 0; i < model.thread_count && model.result.violation[0] == 0; i++) {
		if (model.threads[i].ended || model.threads[i].killed)
			continue;
		model_step(i);
		paths += model_explore(depth + 1);
		model_restore(snapshot);
	}
	entry->paths = paths;
	return paths;
}

/* Explores from the present content of the shared memory. bodies[i] may be NULL: no thread. */
static struct model_result
model_run(void *shared, size_t shared_bytes, void (*const bodies[MODEL_THREADS])(unsigned),
	  unsigned mortal_mask, void (*final)(void))
{
	static struct model_snapshot start;

	memset(&model.result, 0, sizeof(model.result));
	free(model.table);
	model.table = calloc(UINT64_C(1) << MODEL_TABLE_BITS, sizeof(*model.table));
	memset(model.threads, 0, sizeof(model.threads));
	model.shared = shared;
	model.shared_bytes = shared_bytes;
	model.final = final;
	model.thread_count = 0;
	for (unsigned i = 0; i < MODEL_THREADS && bodies[i] != NULL; i++) {
		model.threads[i].body = bodies[i];
		model.threads[i].mortal = (mortal_mask >> i & 1) != 0;
		model.thread_count++;
		model_start(i);
	}
	model_save(&start);
	model.result.paths = model_explore(0);
	model_restore(&start);
	return model.result;
}

#endif
