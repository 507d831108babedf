/*
 * Threads that are over, and what comes after them; by the first argument:
 *   arenas    40 threads end; then 6 work, whose heaps lie where stacks were
 *   joined    threads one after the other, each joined, beside a leak; ends by abort()
 *   unjoined  8 threads end that nobody joins
 *   detached  12 threads that detach themselves, of which 8 end: glibc keeps some of their stacks
 *   leaving   8 threads, of which 4 end the process at once
 *   c11       5 threads of C11's thrd_create; 2 of them end, one after the other
 *   given     3 threads on stacks out of malloc, of the program's data and from mmap
 * Figures: what /proc/self/pagemap says of the stacks and heaps that there are at the end.
 */
#include "truth.h"

#include <pthread.h>
#include <stdbool.h>
#include <threads.h>

#define STACK_BYTES (8 * MIB)
#define BURST 40
#define WORKERS 6
#define BLOCKS 30000
#define BLOCK_BYTES 400
#define ROUNDS 300
#define LEAK_BYTES 20000
#define GIVEN_BYTES MIB
#define HEAP_BYTES (64 * MIB)

static pthread_barrier_t barrier;
static size_t stacks_committed, heaps_committed;
static char own_stack[GIVEN_BYTES] __attribute__((aligned(4096)));

static void *
touch_stack(void *argument)
{
	char bytes[64 * 1024];

	memset(bytes, 1, sizeof(bytes));
	__asm__ volatile("" : : "r"(bytes) : "memory");
	if (argument)
		pthread_barrier_wait(&barrier);
	return NULL;
}

static size_t
own_stack_committed(void)
{
	pthread_attr_t attributes;
	void *address = NULL;
	size_t bytes = 0;

	if (pthread_getattr_np(pthread_self(), &attributes) ||
	    pthread_attr_getstack(&attributes, &address, &bytes))
		truth_die("pthread_getattr_np");
	pthread_attr_destroy(&attributes);
	return truth_present(address, bytes);
}

NOINLINE static void *
take_block(void)
{
	char *block = malloc(BLOCK_BYTES);

	memset(block, 1, BLOCK_BYTES);
	return block;
}

/* One of its blocks stays, at the heap's end, so that the heap does. */
static void *
work(void *unused)
{
	static __thread void *blocks[BLOCKS];
	uintptr_t heap;

	(void)unused;
	for (int i = 0; i < BLOCKS; i++)
		blocks[i] = take_block();
	for (int i = 0; i < BLOCKS - 1; i++)
		free(blocks[i]);
	heap = (uintptr_t)blocks[BLOCKS - 1] & ~(HEAP_BYTES - 1);
	__atomic_fetch_add(&heaps_committed, truth_present((void *)heap, HEAP_BYTES),
			   __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&stacks_committed, own_stack_committed(), __ATOMIC_SEQ_CST);
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	return NULL;
}

static void
start(pthread_t *thread, const pthread_attr_t *attributes, void *(*function)(void *), bool waits)
{
	if (pthread_create(thread, attributes, function, waits ? &barrier : NULL))
		truth_die("pthread_create");
}

NOINLINE static void
burst(pthread_t threads[BURST])
{
	for (int i = 0; i < BURST; i++)
		start(&threads[i], NULL, touch_stack, true);
}

static void
arenas(void)
{
	pthread_t threads[BURST];

	pthread_barrier_init(&barrier, NULL, BURST);
	burst(threads);
	for (int i = 0; i < BURST; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_init(&barrier, NULL, WORKERS + 1);
	for (int i = 0; i < WORKERS; i++)
		start(&threads[i], NULL, work, false);
	pthread_barrier_wait(&barrier);
	truth_figure("stacks_reserved", WORKERS * (STACK_BYTES + PAGE));
	truth_figure("stacks_committed", (long long)stacks_committed);
	truth_figure("heaps_committed", (long long)heaps_committed);
}

NOINLINE static void
leak(void)
{
	char *volatile block = malloc(LEAK_BYTES);

	memset(block, 1, LEAK_BYTES);
	__asm__ volatile("" : : "r"(block) : "memory");
}

static void
joined(void)
{
	pthread_t thread;

	for (int i = 0; i < ROUNDS; i++) {
		start(&thread, NULL, touch_stack, false);
		pthread_join(thread, NULL);
		leak();
	}
	truth_say("thread_owners");
	abort();
}

/* The kernel clears a thread's id when it is gone; nobody else can tell without joining it. */
static size_t
count_tasks(void)
{
	static char text[4096];
	const char *found;
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t length = read(fd, text, sizeof(text) - 1);

	close(fd);
	text[length > 0 ? length : 0] = '\0';
	found = strstr(text, "Threads:");
	return found ? (size_t)atol(found + 8) : 0;
}

static void
unjoined(void)
{
	pthread_t thread;

	for (int i = 0; i < 8; i++)
		start(&thread, NULL, touch_stack, false);
	while (count_tasks() > 1)
		usleep(1000);
	truth_figure("ended_reserved", 8 * (STACK_BYTES + PAGE));
}

#define DETACHED 12
#define STAYING 4

static void *detached_stacks[DETACHED]; /* the lowest page of each */
static size_t detached_count;

/* Touches more than the page that glibc keeps of a stack. */
static void *
detach(void *stays)
{
	pthread_attr_t attributes;
	void *address = NULL;
	size_t bytes = 0;
	size_t index = __atomic_fetch_add(&detached_count, 1, __ATOMIC_SEQ_CST);

	if (pthread_detach(pthread_self()) || pthread_getattr_np(pthread_self(), &attributes) ||
	    pthread_attr_getstack(&attributes, &address, &bytes))
		truth_die("pthread_getattr_np");
	pthread_attr_destroy(&attributes);
	detached_stacks[index] = address;
	touch_stack(NULL);
	if (stays)
		__atomic_fetch_add(&stacks_committed, own_stack_committed(), __ATOMIC_SEQ_CST);
	pthread_barrier_wait(&barrier);
	while (stays)
		pause();
	return NULL;
}

NOINLINE static void
detached(void)
{
	pthread_t thread;
	size_t mapped = 0;
	unsigned char marks;

	pthread_barrier_init(&barrier, NULL, DETACHED + 1);
	for (int i = 0; i < DETACHED; i++)
		start(&thread, NULL, detach, i < STAYING);
	pthread_barrier_wait(&barrier);
	while (count_tasks() > 1 + STAYING)
		usleep(1000);
	for (int i = 0; i < DETACHED; i++)
		mapped += mincore(detached_stacks[i], PAGE, &marks) == 0;
	truth_figure("stacks_reserved", STAYING * (STACK_BYTES + PAGE));
	truth_figure("stacks_committed", (long long)stacks_committed);
	truth_figure("ended_reserved", (long long)(mapped - STAYING) * (STACK_BYTES + PAGE));
}

static void *
leave(void *goes)
{
	touch_stack(NULL);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	if (goes)
		_exit(0);
	for (;;)
		pause();
	return NULL;
}

NOINLINE static void
leaving(void)
{
	pthread_t thread;

	pthread_barrier_init(&barrier, NULL, 9);
	for (int i = 0; i < 8; i++)
		start(&thread, NULL, leave, i < 4);
	pthread_barrier_wait(&barrier);
	truth_say("thread_owners");
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
}

static int
stay(void *stays)
{
	touch_stack(NULL);
	if (stays)
		pthread_barrier_wait(&barrier);
	while (stays)
		pause();
	return 0;
}

NOINLINE static void
c11(void)
{
	thrd_t thread;

	pthread_barrier_init(&barrier, NULL, 4);
	for (int i = 0; i < 5; i++) {
		if (thrd_create(&thread, stay, i > 1 ? &barrier : NULL) != thrd_success)
			truth_die("thrd_create");
		if (i <= 1)
			thrd_join(thread, NULL);
	}
	pthread_barrier_wait(&barrier);
	truth_figure("stacks_reserved", 3 * (STACK_BYTES + PAGE));
}

NOINLINE static void *
block_stack(void)
{
	void *stack = NULL;

	if (posix_memalign(&stack, PAGE, GIVEN_BYTES))
		truth_die("posix_memalign");
	return stack;
}

NOINLINE static void *
mapped_stack(void)
{
	return truth_mapped(
	    mmap(NULL, GIVEN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void *
note_and_wait(void *unused)
{
	(void)unused;
	touch_stack(NULL);
	pthread_barrier_wait(&barrier);
	for (;;)
		pause();
	return NULL;
}

NOINLINE static void
start_on(void *stack)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	if (pthread_attr_setstack(&attributes, stack, GIVEN_BYTES))
		truth_die("pthread_attr_setstack");
	start(&thread, &attributes, note_and_wait, false);
	pthread_attr_destroy(&attributes);
}

static void
given(void)
{
	void *block = block_stack();
	void *mapped = mapped_stack();

	pthread_barrier_init(&barrier, NULL, 4);
	start_on(block);
	start_on(mapped);
	start_on(own_stack);
	pthread_barrier_wait(&barrier);
	truth_figure("block_committed", (long long)truth_present(block, GIVEN_BYTES));
	truth_figure("mapped_committed", (long long)truth_present(mapped, GIVEN_BYTES));
	truth_figure("given_bytes", (long long)GIVEN_BYTES);
}

int
main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "";

	if (strcmp(what, "arenas") == 0)
		arenas();
	else if (strcmp(what, "joined") == 0)
		joined();
	else if (strcmp(what, "unjoined") == 0)
		unjoined();
	else if (strcmp(what, "detached") == 0)
		detached();
	else if (strcmp(what, "leaving") == 0)
		leaving();
	else if (strcmp(what, "c11") == 0)
		c11();
	else if (strcmp(what, "given") == 0)
		given();
	else
		truth_die("argument");
	truth_say("thread_owners");
	return 0;
}
