/* A thread that interns a stack is stopped at each of its instructions: what stands in shared
 * memory there is what a kill leaves. Every entry of the index must name a stack that can be read,
 * every id that was given out must stay right, and whoever comes later must get the stack. */
#include "format/stack_table.c"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEPTH 14u
#define EARLIER 3u
#define WORDS 256u
#define ENTRIES 256u

struct memory {
	uint64_t index[ENTRIES];
	uint64_t words[WORDS];
	uint64_t used;
	uint64_t dropped;
	uint32_t ids[EARLIER];
};

static struct memory *shared;

static struct vmt_stack_table
table_in(struct memory *memory)
{
	return (struct vmt_stack_table){.index = memory->index,
					.index_mask = ENTRIES - 1,
					.words = memory->words,
					.words_count = WORDS,
					.words_used = &memory->used,
					.dropped = &memory->dropped};
}

/* Stack `number` has its own four inner frames; all others are common. */
static void
make_stack(uint32_t number, uint64_t frames[DEPTH])
{
	for (uint32_t i = 0; i < DEPTH; i++)
		frames[i] = UINT64_C(0x400000) + UINT64_C(0x1000) * i + (i < 4 ? number * 16 : 0);
}

static uint32_t
intern(struct memory *memory, uint32_t number)
{
	struct vmt_stack_table table = table_in(memory);
	uint64_t frames[DEPTH];

	make_stack(number, frames);
	return vmt_stack_table_intern(&table, frames, DEPTH);
}

static bool
is_stack(const struct memory *memory, uint32_t id, uint32_t number)
{
	uint64_t frames[DEPTH], found[VMT_STACK_MAX_FRAMES];

	make_stack(number, frames);
	return vmt_stack_table_read(memory->words, WORDS, id, found) == DEPTH &&
	       memcmp(found, frames, sizeof(frames)) == 0;
}

/* What a reader of the trace, and the threads that go on, find. */
static void
check_left(const struct memory *left)
{
	static struct memory copy;
	uint64_t found[VMT_STACK_MAX_FRAMES];

	for (unsigned i = 0; i < ENTRIES; i++)
		if (left->index[i] != 0)
			assert_int_not_equal(vmt_stack_table_read(left->words, WORDS,
								  (uint32_t)left->index[i], found),
					     0);
	for (uint32_t i = 0; i < EARLIER; i++)
		assert_true(is_stack(left, left->ids[i], i));
	copy = *left;
	for (uint32_t i = 0; i <= EARLIER; i++)
		assert_true(is_stack(&copy, intern(&copy, i), i));
	for (uint32_t i = 0; i < EARLIER; i++)
		assert_int_equal(intern(&copy, i), left->ids[i]);
	assert_int_equal(copy.dropped, 0);
}

/* One that is stopped by its parent before and after it interns a stack. */
static pid_t
start_victim(void)
{
	pid_t child = fork();

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			_exit(77);
		raise(SIGSTOP);
		(void)intern(shared, EARLIER);
		_exit(0);
	}
	assert_true(child > 0);
	return child;
}

static void
test_kill_at_each_instruction(void **state)
{
	struct memory last;
	unsigned instructions = 0, changes = 0;
	int status;
	pid_t child;

	(void)state;
	for (uint32_t i = 0; i < EARLIER; i++)
		shared->ids[i] = intern(shared, i);
	last = *shared;
	check_left(&last);
	child = start_victim();
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	while (WIFSTOPPED(status)) {
		instructions++;
		if (memcmp(&last, shared, sizeof(last)) != 0) {
			changes++;
			last = *shared;
			check_left(&last);
		}
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	/* A counter, four frames and an end word, and an entry at least. */
	assert_in_range(changes, 7, instructions);
	assert_true(is_stack(shared, intern(shared, EARLIER), EARLIER));
	assert_memory_equal(&last, shared, sizeof(last));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_kill_at_each_instruction),
	};

	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
