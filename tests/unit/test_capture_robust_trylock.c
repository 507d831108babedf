/* A lock for one thread at a time, which a holder that is gone loses. */
#include "capture/core/guard.h"
#include "capture/core/robust_trylock.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static uint32_t holder;
static enum vmt_robust_trylock seen;

static void *
take(void *unused)
{
	seen = vmt_robust_trylock_take(&holder);
	return unused;
}

static void
take_in_thread(void)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, take, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

/* While the holder lives, others go on without. */
static void
test_one_at_a_time(void **state)
{
	(void)state;
	assert_int_equal(vmt_robust_trylock_take(&holder), VMT_ROBUST_TRYLOCK_TAKEN);
	take_in_thread();
	assert_int_equal(seen, VMT_ROBUST_TRYLOCK_BUSY);
	vmt_robust_trylock_release(&holder);
	assert_int_equal(vmt_robust_trylock_take(&holder), VMT_ROBUST_TRYLOCK_TAKEN);
	vmt_robust_trylock_release(&holder);
}

/* A fork that no hook saw leaves the word as it was. */
static void
test_holder_in_another_process(void **state)
{
	int status;
	pid_t child;

	(void)state;
	assert_int_equal(vmt_robust_trylock_take(&holder), VMT_ROBUST_TRYLOCK_TAKEN);
	child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
	assert_true(child >= 0);
	if (child == 0)
		_exit(vmt_robust_trylock_take(&holder) == VMT_ROBUST_TRYLOCK_TAKEN_OVER ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	vmt_robust_trylock_release(&holder);
}

/* pthread_join may return a moment before the kernel has let the thread's id go. */
static void
test_dead_holder(void **state)
{
	(void)state;
	take_in_thread();
	assert_int_equal(seen, VMT_ROBUST_TRYLOCK_TAKEN);
	while (syscall(SYS_tkill, holder, 0) == 0)
		usleep(1000);
	assert_int_equal(vmt_robust_trylock_take(&holder), VMT_ROBUST_TRYLOCK_TAKEN_OVER);
	take_in_thread();
	assert_int_equal(seen, VMT_ROBUST_TRYLOCK_BUSY);
	vmt_robust_trylock_release(&holder);
}

/* It left by longjmp. */
static void
test_own_turn(void **state)
{
	(void)state;
	assert_int_equal(vmt_robust_trylock_take(&holder), VMT_ROBUST_TRYLOCK_TAKEN);
	assert_int_equal(vmt_robust_trylock_take(&holder), VMT_ROBUST_TRYLOCK_TAKEN_OVER);
	vmt_robust_trylock_release(&holder);
}

/* Without system calls a holder can't be told from a dead one. */
static void
test_no_syscalls(void **state)
{
	(void)state;
	vmt_guard.no_syscalls = true;
	assert_int_equal(vmt_robust_trylock_take(&holder), VMT_ROBUST_TRYLOCK_TAKEN);
	assert_int_equal(vmt_robust_trylock_take(&holder), VMT_ROBUST_TRYLOCK_BUSY);
	vmt_guard.no_syscalls = false;
	assert_int_equal(vmt_robust_trylock_take(&holder), VMT_ROBUST_TRYLOCK_BUSY);
	vmt_robust_trylock_release(&holder);
	assert_int_equal(vmt_robust_trylock_take(&holder), VMT_ROBUST_TRYLOCK_TAKEN);
	vmt_robust_trylock_release(&holder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_at_a_time), cmocka_unit_test(test_holder_in_another_process),
	    cmocka_unit_test(test_dead_holder),	  cmocka_unit_test(test_own_turn),
	    cmocka_unit_test(test_no_syscalls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
