/*
 * test_attach_images.c: which files of a process that runs are looked at? This one looks at itself.
 */
#include "base/pages.h"
#include "inject/attach_images.h"
#include "inject/target_memory.h"

#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__x86_64__)
#define MACHINE_NEEDED() ((void)0)
#else
#define MACHINE_NEEDED() skip()
#endif

static struct vmt_attach_images images;

static int
find(pid_t pid, bool wants_heap, bool (*must_stop)(void))
{
	struct vmt_target target;
	int result;

	images = (struct vmt_attach_images){.wants_heap = wants_heap, .must_stop = must_stop};
	assert_int_equal(vmt_target_open(&target, getpid()), 0);
	target.pid = pid;
	result = vmt_attach_images_find(&images, &target, getauxval(AT_PHDR));
	vmt_target_close(&target);
	return result;
}

/* The cuts of the file that has this code; NULL: it was not looked at. */
static const struct vmt_program_cuts *
image_of(uint64_t code)
{
	for (uint32_t i = 0; i < images.count; i++)
		if (code >= images.cuts[i].map.low && code < images.cuts[i].map.high)
			return &images.cuts[i];
	return NULL;
}

static void
check_bytes(const struct vmt_program_cuts *cuts)
{
	const struct vmt_syscall_site *sites = (const void *)cuts->sites.bytes;

	for (size_t i = 0; i < cuts->sites_count; i++) {
		const void *code = (const void *)(uintptr_t)sites[i].address;

		assert_true(sites[i].address >= cuts->map.low && sites[i].exit <= cuts->map.high);
		if (sites[i].verdict == VMT_SITE_CUT)
			assert_memory_equal(code, sites[i].original, sites[i].cut_bytes);
	}
}

static void
the_program_and_its_c_library_are_looked_at(void **state)
{
	const struct vmt_program_cuts *library;

	(void)state;
	MACHINE_NEEDED();
	assert_int_equal(find(getpid(), false, NULL), 0);
	assert_non_null(image_of(getauxval(AT_PHDR)));
	library = image_of((uint64_t)(uintptr_t)getppid);
	assert_non_null(library);
	assert_true(vmt_program_cuts_possible(library) > 0);
	assert_true(vmt_attach_images_possible(&images) >= vmt_program_cuts_possible(library));
	for (uint32_t i = 0; i < images.count; i++)
		check_bytes(&images.cuts[i]);
	assert_null(image_of((uint64_t)(uintptr_t)_cmocka_run_group_tests));
	assert_int_equal(vmt_attach_images_led(&images), 0);
	vmt_attach_images_close(&images);
}

static void
an_allocator_is_taken_where_it_is_wanted(void **state)
{
	uint64_t first;
	const char *why;

	(void)state;
	MACHINE_NEEDED();
	assert_int_equal(find(getpid(), true, NULL), 0);
	assert_non_null(image_of((uint64_t)(uintptr_t)getppid));
	assert_null(image_of((uint64_t)(uintptr_t)_cmocka_run_group_tests));
	assert_true(vmt_attach_images_led(&images) > 0);
	if (vmt_attach_images_unled(&images, &first, &why) > 0)
		assert_non_null(why);
	vmt_attach_images_close(&images);
}

static bool
stop(void)
{
	return true;
}

static void
it_stops_where_it_must(void **state)
{
	(void)state;
	assert_int_equal(find(getpid(), true, stop), -EINTR);
	assert_int_equal(images.count, 0);
	vmt_attach_images_close(&images);
}

static void
a_process_that_has_gone_is_an_error(void **state)
{
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(find(pid, false, NULL) < 0);
	assert_int_equal(images.count, 0);
	vmt_attach_images_close(&images);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_program_and_its_c_library_are_looked_at),
	    cmocka_unit_test(an_allocator_is_taken_where_it_is_wanted),
	    cmocka_unit_test(it_stops_where_it_must),
	    cmocka_unit_test(a_process_that_has_gone_is_an_error),
	};

	vmt_pages_set_size((uint64_t)sysconf(_SC_PAGESIZE));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
