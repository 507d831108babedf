/*
 * test_cuts_in_use.c: is a cut left alone whose code has changed, lies in two pages, or is run by a
 * thread?
 */
#include "inject/cuts_in_use.h"

#include "base/pages.h"
#include "base/sys.h"
#include "inject/standing.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define PATIENCE_NS UINT64_C(20000000000)
#define CUT_BYTES 6u

#if defined(__x86_64__)

/* A child that runs two pages of code: nops, and at the end of the first a jump to itself. */
struct child {
	pid_t pid;
	unsigned char *code;
	struct vmt_target target;
	struct vmt_stopped_threads threads;
};

static unsigned char *
spin_of(const struct child *child)
{
	return child->code + vmt_page_bytes / 2;
}

static void
start(struct child *child)
{
	static const unsigned char to_itself[] = {0xeb, 0xfe};
	void (*run)(void);

	*child = (struct child){.target = {.mem_fd = -1}};
	child->code = mmap(NULL, 2 * vmt_page_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(child->code, MAP_FAILED);
	memset(child->code, 0x90, 2 * vmt_page_bytes);
	memcpy(spin_of(child), to_itself, sizeof(to_itself));
	assert_int_equal(mprotect(child->code, 2 * vmt_page_bytes, PROT_READ | PROT_EXEC), 0);
	child->pid = fork();
	assert_true(child->pid >= 0);
	memcpy(&run, &child->code, sizeof(run));
	if (child->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		run();
	}
	assert_int_equal(vmt_target_open(&child->target, child->pid), 0);
}

/* Until its thread stands where it spins. */
static void
stop_in_spin(struct child *child)
{
	struct vmt_standing_range spin = {.low = (uint64_t)(uintptr_t)spin_of(child)};
	struct vmt_standing_group group = {.ranges = &spin, .count = 1};

	spin.high = spin.low + 2;
	for (;;) {
		assert_int_equal(
		    vmt_stopped_threads_stop(&child->threads, child->pid, 0,
					     vmt_sys_clock_ns(CLOCK_MONOTONIC) + PATIENCE_NS),
		    0);
		assert_int_equal(vmt_standing_find(&child->target, &child->threads, &group, 1), 0);
		if (spin.is_occupied)
			return;
		assert_int_equal(vmt_stopped_threads_let_go(&child->threads), 0);
	}
}

static void
end(struct child *child)
{
	(void)vmt_stopped_threads_let_go(&child->threads);
	vmt_stopped_threads_close(&child->threads);
	vmt_target_close(&child->target);
	kill(child->pid, SIGKILL);
	assert_int_equal(waitpid(child->pid, NULL, 0), child->pid);
	munmap(child->code, 2 * vmt_page_bytes);
}

/* A cut of what lies there. */
static void
put_site(struct vmt_program_cuts *cuts, const unsigned char *at)
{
	struct vmt_syscall_site site = {.address = (uint64_t)(uintptr_t)at,
					.syscall = (uint64_t)(uintptr_t)at + CUT_BYTES,
					.verdict = VMT_SITE_CUT,
					.cut_bytes = CUT_BYTES};

	memcpy(site.original, at, CUT_BYTES);
	assert_true(vmt_buffer_reserve(&cuts->sites, (cuts->sites_count + 1) * sizeof(site)));
	memcpy(cuts->sites.bytes + cuts->sites_count++ * sizeof(site), &site, sizeof(site));
}

static struct vmt_syscall_site *
site(struct vmt_program_cuts *cuts, size_t i)
{
	return (struct vmt_syscall_site *)(void *)cuts->sites.bytes + i;
}

static void
put_function(struct vmt_program_cuts *cuts, const unsigned char *at)
{
	struct vmt_heap_function *function = &cuts->heap.functions[cuts->heap.count++];

	function->is_led = true;
	function->families = 1u << (cuts->heap.count - 1); /* a family of its own */
	function->site = (struct vmt_entry_site){.function = (uint64_t)(uintptr_t)at,
						 .address = (uint64_t)(uintptr_t)at,
						 .verdict = VMT_SITE_CUT,
						 .cut_bytes = CUT_BYTES};
	memcpy(function->site.original, at, CUT_BYTES);
	cuts->heap.led++;
}

static void
nothing_is_in_the_way(void **state)
{
	struct vmt_program_cuts cuts = {.sites_count = 0};
	struct child child;

	(void)state;
	start(&child);
	stop_in_spin(&child);
	assert_int_equal(vmt_cuts_in_use_check(&cuts, 1, &child.target, &child.threads, false), 0);
	put_site(&cuts, child.code + 8);
	put_function(&cuts, child.code + 64);
	assert_int_equal(vmt_cuts_in_use_check(&cuts, 1, &child.target, &child.threads, false), 0);
	assert_int_equal(site(&cuts, 0)->verdict, VMT_SITE_CUT);
	assert_true(cuts.heap.functions[0].is_led);
	end(&child);
	vmt_buffer_free(&cuts.sites);
}

static void
other_code_and_two_pages(void **state)
{
	struct vmt_program_cuts cuts = {.sites_count = 0};
	struct child child;

	(void)state;
	start(&child);
	stop_in_spin(&child);
	put_site(&cuts, child.code + 8);
	site(&cuts, 0)->original[CUT_BYTES - 1] ^= 1;
	put_site(&cuts, child.code + vmt_page_bytes - 4);
	put_site(&cuts, child.code + vmt_page_bytes - 5); /* the jump still fits */
	put_function(&cuts, child.code + 64);
	cuts.heap.functions[0].site.original[0] ^= 1;
	put_function(&cuts, child.code + vmt_page_bytes - 5);
	assert_int_equal(vmt_cuts_in_use_check(&cuts, 1, &child.target, &child.threads, false), 0);
	assert_int_equal(site(&cuts, 0)->verdict, VMT_SITE_UNKNOWN_CODE);
	assert_int_equal(site(&cuts, 1)->verdict, VMT_SITE_TWO_PAGES);
	assert_int_equal(site(&cuts, 2)->verdict, VMT_SITE_CUT);
	assert_false(cuts.heap.functions[0].is_led);
	assert_false(cuts.heap.functions[1].is_led);
	end(&child);
	vmt_buffer_free(&cuts.sites);
}

static void
what_a_thread_stands_in(void **state)
{
	struct vmt_program_cuts cuts = {.sites_count = 0};
	struct child child;

	(void)state;
	start(&child);
	stop_in_spin(&child);
	put_site(&cuts, spin_of(&child) - 2);
	put_site(&cuts, spin_of(&child)); /* the first byte is where a jump begins, too */
	assert_int_equal(vmt_cuts_in_use_check(&cuts, 1, &child.target, &child.threads, false),
			 -EBUSY);
	assert_int_equal(site(&cuts, 0)->verdict, VMT_SITE_CUT);
	assert_int_equal(vmt_cuts_in_use_check(&cuts, 1, &child.target, &child.threads, true), 0);
	assert_int_equal(site(&cuts, 0)->verdict, VMT_SITE_OCCUPIED);
	assert_int_equal(site(&cuts, 1)->verdict, VMT_SITE_CUT);
	site(&cuts, 0)->verdict = VMT_SITE_GO_FORM; /* can't be left out: all is awaited */
	assert_int_equal(vmt_cuts_in_use_check(&cuts, 1, &child.target, &child.threads, true),
			 -EBUSY);
	end(&child);
	vmt_buffer_free(&cuts.sites);
}

static void
a_function_that_a_thread_stands_in(void **state)
{
	struct vmt_program_cuts cuts = {.sites_count = 0};
	struct child child;

	(void)state;
	start(&child);
	stop_in_spin(&child);
	put_function(&cuts, spin_of(&child) - 2);
	assert_int_equal(vmt_cuts_in_use_check(&cuts, 1, &child.target, &child.threads, false),
			 -EBUSY);
	assert_true(cuts.heap.functions[0].is_led);
	assert_int_equal(vmt_cuts_in_use_check(&cuts, 1, &child.target, &child.threads, true), 0);
	assert_false(cuts.heap.functions[0].is_led);
	end(&child);
}

/* Each file's own is left out. */
static void
one_file_of_two(void **state)
{
	struct vmt_program_cuts cuts[3] = {{.sites_count = 0}};
	struct child child;

	(void)state;
	start(&child);
	stop_in_spin(&child);
	put_site(&cuts[0], child.code + 8);
	put_function(&cuts[0], child.code + 64);
	put_site(&cuts[2], child.code + 24);
	put_site(&cuts[2], spin_of(&child) - 2);
	put_function(&cuts[2], spin_of(&child) - 1);
	assert_int_equal(vmt_cuts_in_use_check(cuts, 2, &child.target, &child.threads, false), 0);
	assert_int_equal(vmt_cuts_in_use_check(cuts, 3, &child.target, &child.threads, false),
			 -EBUSY);
	assert_int_equal(vmt_cuts_in_use_check(cuts, 3, &child.target, &child.threads, true), 0);
	assert_int_equal(site(&cuts[0], 0)->verdict, VMT_SITE_CUT);
	assert_true(cuts[0].heap.functions[0].is_led);
	assert_int_equal(site(&cuts[2], 0)->verdict, VMT_SITE_CUT);
	assert_int_equal(site(&cuts[2], 1)->verdict, VMT_SITE_OCCUPIED);
	assert_false(cuts[2].heap.functions[0].is_led);
	end(&child);
	vmt_buffer_free(&cuts[0].sites);
	vmt_buffer_free(&cuts[2].sites);
}

#endif

int
main(void)
{
#if defined(__x86_64__)
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nothing_is_in_the_way),
	    cmocka_unit_test(other_code_and_two_pages),
	    cmocka_unit_test(what_a_thread_stands_in),
	    cmocka_unit_test(a_function_that_a_thread_stands_in),
	    cmocka_unit_test(one_file_of_two),
	};

	vmt_pages_set_size((uint64_t)sysconf(_SC_PAGESIZE));
	return cmocka_run_group_tests(tests, NULL, NULL);
#else
	return 0;
#endif
}
