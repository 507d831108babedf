/*
 * test_stopped_threads.c: do all threads of a process stand when they should, and is it unharmed
 * after that?
 *
 * Also where the one who stopped them, or made calls in them, is killed at any of its own system
 * calls: the test traces it and kills it at each in turn.
 */
#include "inject/stopped_threads.h"

#include "inject/remote_call.h"
#include "tests/soak.h"
#include "tests/unit/lives.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/ptrace.h>

#define PATIENCE_NS UINT64_C(20000000000)

#if defined(__x86_64__)

static uint64_t
deadline(void)
{
	return vmt_sys_clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS;
}

static void
each_life_goes_on(void **state)
{
	(void)state;
	for (size_t i = 0; i < LIVES; i++) {
		struct vmt_stopped_threads threads = {0};
		pid_t child = life_start(&lives[i]);
		int status;

		for (int times = 0; times < 3; times++) {
			assert_int_equal(vmt_stopped_threads_stop(&threads, child, 0, deadline()),
					 0);
			assert_int_equal(vmt_stopped_threads_let_go(&threads), 0);
		}
		status = life_end(child);
		if (status != 0)
			print_error("%s: status %x\n", lives[i].name, (unsigned)status);
		assert_int_equal(status, 0);
		vmt_stopped_threads_close(&threads);
	}
}

/* ---- many threads ---------------------------------------------------------------------------- */

#define WORKERS 20

static uint64_t *counts; /* shared: one a worker, and one for threads that came and went */

static void *
count_up(void *slot)
{
	while (!life_is_woken())
		__atomic_fetch_add((uint64_t *)slot, 1, __ATOMIC_RELAXED);
	return NULL;
}

static void *
leave(void *slot)
{
	__atomic_fetch_add((uint64_t *)slot, 1, __ATOMIC_RELAXED);
	return NULL;
}

static int
live_with_threads(void)
{
	pthread_t workers[WORKERS], brief;

	for (int i = 0; i < WORKERS; i++)
		if (pthread_create(&workers[i], NULL, count_up, &counts[i]) != 0)
			return 1;
	while (!life_is_woken())
		if (pthread_create(&brief, NULL, leave, &counts[WORKERS]) != 0 ||
		    pthread_join(brief, NULL) != 0)
			return 2;
	for (int i = 0; i < WORKERS; i++)
		if (pthread_join(workers[i], NULL) != 0)
			return 3;
	return 0;
}

static char
state_of(pid_t pid, const char *tid)
{
	char path[64], text[256] = "";
	const char *behind;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/stat", (int)pid, tid);
	file = fopen(path, "re");
	if (!file)
		return '-';
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	behind = strrchr(text, ')');
	return behind ? behind[2] : '-';
}

/* How many threads there are that do not stand under a tracer. */
static int
count_running(pid_t pid, int *all)
{
	char path[64];
	struct dirent *entry;
	int running = 0;
	DIR *tasks;

	*all = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	assert_non_null(tasks);
	while ((entry = readdir(tasks)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		++*all;
		running += state_of(pid, entry->d_name) != 't';
	}
	closedir(tasks);
	return running;
}

static void
all_threads_stand_also_those_born_meanwhile(void **state)
{
	const struct life life = {"threads", live_with_threads, LIFE_PLAIN};
	struct vmt_stopped_threads threads = {0};
	uint64_t before[WORKERS + 1];
	pid_t child;
	int all = 0;

	(void)state;
	counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(counts != MAP_FAILED);
	child = life_start(&life);
	/* All workers are there once the first of the brief ones has come. */
	while (__atomic_load_n(&counts[WORKERS], __ATOMIC_RELAXED) == 0)
		sched_yield();
	for (int times = 0; times < soak_count(20, 300); times++) {
		assert_int_equal(vmt_stopped_threads_stop(&threads, child, 0, deadline()), 0);
		assert_int_equal(count_running(child, &all), 0);
		memcpy(before, counts, sizeof(before));
		sched_yield();
		assert_int_equal(count_running(child, &all), 0);
		assert_memory_equal(before, counts, sizeof(before));
		assert_int_equal(vmt_stopped_threads_let_go(&threads), 0);
	}
	assert_true(all > WORKERS);
	assert_int_equal(life_end(child), 0);
	vmt_stopped_threads_close(&threads);
	munmap(counts, 4096);
}

/* ---- signals -----------------------------------------------------------------------------------
 */

#define SIGNALS 400

static volatile sig_atomic_t received;

static void
receive(int signal)
{
	(void)signal;
	received++;
}

static int
live_with_signals(void)
{
	struct sigaction action = {.sa_handler = receive};

	sigaction(SIGRTMIN, &action, NULL);
	*life_word = 2;
	while (received < SIGNALS)
		if (read(life_pipe[0], &action, 0) != 0)
			return 1;
	while (__atomic_load_n(life_word, __ATOMIC_ACQUIRE) != 1)
		sched_yield();
	return received == SIGNALS ? 0 : 2;
}

static void
no_signal_is_lost_or_comes_twice(void **state)
{
	const struct life life = {"signals", live_with_signals, LIFE_PLAIN};
	struct vmt_stopped_threads threads = {0};
	pid_t child = life_start(&life);

	(void)state;
	while (__atomic_load_n(life_word, __ATOMIC_ACQUIRE) != 2)
		sched_yield();
	for (int i = 0; i < SIGNALS; i++) {
		assert_int_equal(kill(child, SIGRTMIN), 0);
		if (i % 4)
			continue;
		assert_int_equal(vmt_stopped_threads_stop(&threads, child, 0, deadline()), 0);
		assert_int_equal(kill(child, i % 8 ? SIGWINCH : SIGCHLD), 0); /* ignored */
		assert_int_equal(vmt_stopped_threads_let_go(&threads), 0);
	}
	assert_int_equal(life_end(child), 0);
	vmt_stopped_threads_close(&threads);
}

static void
a_stopped_program_stays_stopped(void **state)
{
	struct vmt_stopped_threads threads = {0};
	pid_t child = life_start(&lives[0]);
	char tid[16];
	int status;

	(void)state;
	snprintf(tid, sizeof(tid), "%d", (int)child);
	assert_int_equal(kill(child, SIGSTOP), 0);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	for (int times = 0; times < 3; times++) {
		assert_int_equal(vmt_stopped_threads_stop(&threads, child, 0, deadline()), 0);
		assert_int_equal(vmt_stopped_threads_let_go(&threads), 0);
		while (state_of(child, tid) == 't' || state_of(child, tid) == 'R')
			sched_yield();
		assert_int_equal(state_of(child, tid), 'T');
	}
	assert_int_equal(kill(child, SIGCONT), 0);
	assert_int_equal(life_end(child), 0);
	vmt_stopped_threads_close(&threads);
}

static void
what_may_not_be_traced_is_refused(void **state)
{
	struct vmt_stopped_threads threads = {0};
	pid_t child = life_start(&lives[0]);
	pid_t other;
	int status;

	(void)state;
	assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, NULL), 0);
	other = fork();
	assert_true(other >= 0);
	if (other == 0)
		_exit(vmt_stopped_threads_stop(&threads, child, 0, deadline()) == -EPERM ? 0 : 1);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
	assert_int_equal(ptrace(PTRACE_INTERRUPT, child, NULL, NULL), 0);
	assert_int_equal(vmt_tracee_wait(child, deadline(), &status), 0);
	assert_int_equal(ptrace(PTRACE_DETACH, child, NULL, NULL), 0);
	assert_int_equal(life_end(child), 0);
	assert_int_equal(vmt_stopped_threads_stop(&threads, child, 0, deadline()), -ESRCH);
	vmt_stopped_threads_close(&threads);
}

/* ---- the one who does it is killed ---------------------------------------------------------- */

/* Stops the program, makes two calls in it, and lets it go. Never returns. */
static void
attack(pid_t child, bool guarded)
{
	struct vmt_return_frame frame;
	struct vmt_stopped_threads threads = {0};
	struct vmt_target target;
	struct vmt_remote remote;
	uint64_t words[6] = {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX, 0};
	int64_t address = 0;
	int result;

	if (vmt_target_open(&target, child) != 0 || vmt_return_frame_find(&frame, &target) != 0)
		_exit(1);
	raise(SIGSTOP); /* from here on it is killed */
	if (vmt_stopped_threads_stop(&threads, child, 0, deadline()) != 0)
		_exit(2);
	if (vmt_stopped_threads_list(&threads)[0].state != VMT_STOPPED_THREADS_STAND)
		goto out; /* at a signal: nobody makes calls there */
	result = guarded ? vmt_remote_begin_guarded(&remote, &target, child, &frame)
			 : vmt_remote_begin(&remote, &target, child, 0);
	if (result != 0 || vmt_remote_call(&remote, SYS_mmap, words, &address) != 0)
		_exit(3);
	words[0] = (uint64_t)address;
	if (vmt_remote_call(&remote, SYS_munmap, words, &address) != 0 || address != 0 ||
	    vmt_remote_end(&remote) != 0)
		_exit(4);
out:
	_exit(vmt_stopped_threads_let_go(&threads) == 0 ? 0 : 5);
}

/* Runs it up to its steps-th system call, and kills it there. True: it had ended before. */
static bool
kill_at(pid_t attacker, int steps, bool may_fail)
{
	int status;

	for (int stops = 0; stops < 2;) {
		assert_int_equal(waitpid(attacker, &status, 0), attacker);
		if (WIFEXITED(status)) {
			assert_true(may_fail);
			return true;
		}
		assert_true(WIFSTOPPED(status));
		stops += WSTOPSIG(status) == SIGSTOP;
		if (stops < 2)
			assert_int_equal(ptrace(PTRACE_CONT, attacker, NULL, NULL), 0);
	}
	for (int i = 0; i < steps; i++) {
		assert_int_equal(ptrace(PTRACE_SYSCALL, attacker, NULL, NULL), 0);
		assert_int_equal(waitpid(attacker, &status, 0), attacker);
		if (WIFEXITED(status)) {
			assert_true(may_fail || WEXITSTATUS(status) == 0);
			return true;
		}
	}
	assert_int_equal(kill(attacker, SIGKILL), 0);
	assert_int_equal(waitpid(attacker, &status, 0), attacker);
	return false;
}

/* One program, one death. Whether it was harmed. Where a mere stop ends a call with EINTR, a death
 * between the stop and its repair leaves that. */
static bool
is_harmed(const struct life *life, int steps, bool guarded, bool *ended)
{
	pid_t child = life_start(life);
	pid_t attacker = fork();
	int status;

	assert_true(attacker >= 0);
	if (attacker == 0) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		attack(child, guarded);
	}
	*ended = kill_at(attacker, steps, life->kind == LIFE_CHANGES);
	status = life_end(child);
	if (life->kind == LIFE_ENDS_AT_A_STOP && WIFEXITED(status) && WEXITSTATUS(status) == EINTR)
		status = 0;
	if (status != 0 && guarded)
		print_error("%s, killed at step %d: status %x\n", life->name, steps,
			    (unsigned)status);
	return status != 0;
}

/* Waits have steps without number: a bound. */
#define STEPS_MOST 600

static int
count_harmed(const struct life *life, int stride, bool guarded)
{
	bool ended = false;
	int harmed = 0;

	for (int steps = 1; steps < STEPS_MOST && !ended; steps += stride)
		harmed += is_harmed(life, steps, guarded, &ended);
	return harmed;
}

static void
a_death_at_any_step_harms_nothing(void **state)
{
	(void)state;
	for (size_t i = 0; i < LIVES; i++)
		assert_int_equal(count_harmed(&lives[i], soak_count(13, 1), true), 0);
}

/* Without the frame they are harmed: so the test would see it. */
static void
without_a_frame_a_death_harms(void **state)
{
	(void)state;
	assert_true(count_harmed(&lives[0], 3, false) > 0);
	assert_true(count_harmed(&lives[10], 3, false) > 0);
}

#endif

int
main(void)
{
	const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
		cmocka_unit_test(each_life_goes_on),
		cmocka_unit_test(all_threads_stand_also_those_born_meanwhile),
		cmocka_unit_test(no_signal_is_lost_or_comes_twice),
		cmocka_unit_test(a_stopped_program_stays_stopped),
		cmocka_unit_test(what_may_not_be_traced_is_refused),
		cmocka_unit_test(a_death_at_any_step_harms_nothing),
		cmocka_unit_test(without_a_frame_a_death_harms),
#else
		{0},
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
