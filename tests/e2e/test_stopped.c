/*
 * test_stopped.c: can a thread that is stopped or killed inside a hook hold up another?
 *
 * A victim is stepped through a hook to learn the instructions that it executes. Then, at each of
 * them that is the library's own, it is stopped, or made to end by a bare exit system call, while
 * another thread of the process allocates and maps more than the rings hold. That must get done
 * every time; whatever is missing in the trace afterwards must be counted there.
 */
#include "tests/e2e/living.h"

#include "format/head.h"
#include "tests/soak.h"
#include "tests/target/stepped.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__x86_64__)

#define LIMIT_S 30
#define MAX_PLACES 8192u

struct stage {
	struct conversation talk;
	struct stepped *shared;
	char trace[4096];
	unsigned char *base; /* of the trace, mapped */
	struct vmt_head *head;
	pid_t victim;
	const char *call;
	uint32_t burst; /* more than the rings hold */
	uint32_t stops;
	uint32_t held; /* of these, with a slot claimed */
};

static struct stage stage; /* of the running test */

static void
work(enum stepped_work kind, uint32_t amount)
{
	uint32_t done = stage.shared->done;

	stage.shared->kind = kind;
	stage.shared->amount = amount;
	stepped_advance(&stage.shared->wanted);
	if (stepped_wait(&stage.shared->done, done, LIMIT_S))
		return;
	struct user_regs_struct registers = {0};

	ptrace(PTRACE_GETREGS, stage.victim, NULL, &registers);
	kill(stage.talk.pid, SIGKILL);
	fail_msg("%s: blocked by a thread at library address 0x%llx", stage.call,
		 registers.rip - stage.shared->library_start);
}

static int
wait_for_stop(void)
{
	int status;

	assert_int_equal(waitpid(stage.victim, &status, __WALL), stage.victim);
	return status;
}

static void
expect_trap(void)
{
	int status = wait_for_stop();

	if (!WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		fail_msg("%s: the victim ended with %x", stage.call, (unsigned)status);
}

/* A victim that stands at its first breakpoint. */
static void
get_victim(void)
{
	work(STEPPED_SPAWN, 0);
	stage.victim = (pid_t)stage.shared->victim;
	assert_int_equal(ptrace(PTRACE_SEIZE, stage.victim, NULL, NULL), 0);
	stepped_advance(&stage.shared->started);
	expect_trap();
}

static void
go_to_break(void)
{
	assert_int_equal(ptrace(PTRACE_CONT, stage.victim, NULL, NULL), 0);
	expect_trap();
}

static uint64_t
place(void)
{
	errno = 0;
	long address = ptrace(PTRACE_PEEKUSER, stage.victim,
			      (void *)offsetof(struct user_regs_struct, rip), NULL);

	assert_int_equal(errno, 0);
	return (uint64_t)address;
}

/* One instruction; false: it was the next breakpoint. */
static bool
step(void)
{
	assert_int_equal(ptrace(PTRACE_SINGLESTEP, stage.victim, NULL, NULL), 0);
	expect_trap();
	return place() != stage.shared->after_break;
}

static bool
is_in_library(void)
{
	uint64_t at = place();

	return at >= stage.shared->library_start && at < stage.shared->library_end;
}

static bool
holds_slot(void)
{
	for (uint32_t i = 0; i < stage.head->shards * VMT_RING_CLASSES; i++) {
		struct vmt_ring_view ring =
		    vmt_head_ring(stage.head, stage.base, i / VMT_RING_CLASSES,
				  (enum vmt_ring_class)(i % VMT_RING_CLASSES));
		uint64_t head = vmt_atomic_load_acquire(&ring.control->head);
		uint64_t from = head > ring.capacity ? head - ring.capacity : 0;

		for (uint64_t at = from; at < head; at++)
			if (vmt_ring_look(&ring, at) == VMT_RING_BUSY)
				return true;
	}
	return false;
}

/* The addresses of the library's code that a call comes by, each once. */
struct course {
	uint32_t count;
	uint64_t at[MAX_PLACES];
	bool holds[MAX_PLACES]; /* a slot, the first time */
};

static void
add_place(struct course *course, uint64_t address)
{
	for (uint32_t i = 0; i < course->count; i++)
		if (course->at[i] == address)
			return;
	assert_true(course->count < MAX_PLACES);
	course->holds[course->count] = holds_slot();
	course->at[course->count++] = address;
}

/* With rings that have room, and with full ones. */
static void
survey(struct course *course)
{
	course->count = 0;
	for (int i = 0; i < 4; i++) {
		go_to_break();
		while (step())
			if (is_in_library())
				add_place(course, place());
		work(STEPPED_BURST, stage.burst);
	}
}

static void
set_debug_register(unsigned number, uint64_t value)
{
	void *where = (void *)(offsetof(struct user, u_debugreg) + number * sizeof(uint64_t));

	assert_int_equal(ptrace(PTRACE_POKEUSER, stage.victim, where, (void *)value), 0);
}

/* Lets the victim run from its breakpoint to an address. False: it came to the next breakpoint. */
static bool
run_to(uint64_t address)
{
	set_debug_register(0, address);
	set_debug_register(7, 1); /* on execution */
	go_to_break();
	set_debug_register(7, 0);
	return place() == address;
}

static void
map_trace(void)
{
	struct stat status;
	int fd = open(stage.trace, O_RDONLY);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	stage.base = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(stage.base != MAP_FAILED);
	stage.head = (struct vmt_head *)(void *)stage.base;
	assert_true((uint64_t)status.st_size >= stage.head->chunks_offset);
	close(fd);
}

static void
begin(const char *call, bool collected, uint32_t buffer_kib)
{
	char buffer[64];
	char output[4200];
	char name[64];
	const char *library = preloaded("")[0];
	const char *file = scratch_file("shared");
	int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0600);

	memset(&stage, 0, sizeof(stage));
	stage.call = call;
	stage.burst = buffer_kib * 24; /* a KiB: 8 map slots and 16 heap slots */
	snprintf(name, sizeof(name), "stopped-%s-%d.vmt", call, collected);
	snprintf(stage.trace, sizeof(stage.trace), "%s", scratch_file(name));
	unlink(stage.trace);
	snprintf(output, sizeof(output), "VMTRACE_OUTPUT=%s", stage.trace);
	snprintf(buffer, sizeof(buffer), "VMTRACE_BUFFER=%uK", buffer_kib);
	assert_int_equal(ftruncate(fd, 4096), 0);
	stage.shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(stage.shared != MAP_FAILED);
	close(fd);
	converse_start(&stage.talk,
		       (const char *const[]){built("tests/target/stepped"), file, call, NULL},
		       (const char *const[]){library, output, "VMTRACE_MALLOC=all", buffer, NULL});
	assert_true(stepped_wait(&stage.shared->done, 0, LIMIT_S));
	map_trace();
	pid_t collector = living_collector(stage.trace);

	if (!collected)
		assert_int_equal(kill(collector, SIGKILL), 0);
}

/* Ends the victim where it is. */
static void
dismiss_victim(void)
{
	struct user_regs_struct registers;

	assert_int_equal(ptrace(PTRACE_GETREGS, stage.victim, NULL, &registers), 0);
	registers.orig_rax = (unsigned long long)-1;
	registers.rax = SYS_exit;
	registers.rdi = 0;
	registers.rip = stage.shared->exit_call;
	assert_int_equal(ptrace(PTRACE_SETREGS, stage.victim, NULL, &registers), 0);
	assert_int_equal(ptrace(PTRACE_CONT, stage.victim, NULL, NULL), 0);
	assert_true(WIFEXITED(wait_for_stop()));
}

/* Stops at one place in a call, lets the others work, and goes on to the end of the call. */
static void
stop_at(uint64_t address)
{
	if (!run_to(address))
		return;
	stage.stops++;
	stage.held += holds_slot();
	work(STEPPED_BURST, stage.burst);
	go_to_break();
}

/* The same, but the victim ends there; another takes its place. */
static void
kill_at(uint64_t address)
{
	if (!run_to(address))
		return;
	stage.stops++;
	stage.held += holds_slot();
	dismiss_victim();
	work(STEPPED_BURST, stage.burst);
	get_victim();
}

/* Nothing is missing that is not counted. The breakpoint of each last call was not reached. */
static void
check_books(void)
{
	json_t *root = report(stage.trace, (const char *const[]){"--at", "end", NULL});
	json_t *loss = member(root, "loss");
	int64_t made = (int64_t)stage.shared->bursts;
	int64_t missing = made - site_sum(root, "malloc", "worker_allocate", "count") + made -
			  site_sum(root, "mmap", "worker_map", "count");
	int64_t counted = number(loss, "events_dropped") + number(loss, "events_overwritten") +
			  number(loss, "slots_abandoned");

	if (missing < 0 || missing > counted)
		fail_msg("%s: %lld missing, %lld counted", stage.call, (long long)missing,
			 (long long)counted);
	assert_true(number(loss, "slots_abandoned") > 0);
	json_decref(root);
}

/* Of a test that failed. */
static int
clear_away(void **state)
{
	(void)state;
	if (stage.talk.pid != 0) {
		kill(stage.talk.pid, SIGKILL);
		converse_end(&stage.talk);
		stage.talk.pid = 0;
	}
	return 0;
}

static void
end(void)
{
	dismiss_victim();
	stage.shared->kind = STEPPED_END;
	stepped_advance(&stage.shared->wanted);
	int status = converse_end(&stage.talk);

	stage.talk.pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s: ended with %x", stage.call, (unsigned)status);
}

/* A trial at each place, or at one in `stride`, and at one in `held_stride` of those with a slot.
 */
static void
try_all(void (*try)(uint64_t), long stride, long held_stride)
{
	static struct course course;
	uint32_t held = 0;

	get_victim();
	survey(&course);
	for (uint32_t i = 0; i < course.count; i++)
		if (course.holds[i] ? held++ % held_stride == 0 : i % stride == 0)
			try(course.at[i]);
	print_message("%s: %u places, %u with a slot claimed; tried %u and %u\n", stage.call,
		      course.count, held, stage.stops, stage.held);
	assert_true(stage.held > 0);
	end();
	check_books();
	munmap(stage.shared, 4096);
}

static void
test_stopped(void **state)
{
	(void)state;
	begin("heap", false, 4);
	try_all(stop_at, soak_count(5, 1), 1);
	begin("map", false, 4);
	try_all(stop_at, soak_count(5, 1), 1);
}

/* Each that is killed with a slot takes it out of use: the rings have some more. */
static void
test_killed(void **state)
{
	(void)state;
	begin("heap", false, 16);
	try_all(kill_at, soak_count(11, 1), soak_count(2, 1));
	begin("map", false, 16);
	try_all(kill_at, soak_count(11, 1), soak_count(2, 1));
}

/* So many that no slot is left. */
static void
test_all_slots_lost(void **state)
{
	(void)state;
	begin("map", false, 4);
	try_all(kill_at, 1000, 1);
}

/* The collector gives a slot up after a while, for which all wait that have no room. */
static void
test_stopped_collected(void **state)
{
	(void)state;
	begin("map", true, 4);
	try_all(stop_at, soak_count(23, 1), soak_count(13, 1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_stopped, clear_away),
	    cmocka_unit_test_teardown(test_killed, clear_away),
	    cmocka_unit_test_teardown(test_all_slots_lost, clear_away),
	    cmocka_unit_test_teardown(test_stopped_collected, clear_away),
	};

	return cmocka_run_group_tests_name("stopped threads", tests, NULL, NULL);
}

#else
int
main(void)
{
	return 0;
}
#endif
