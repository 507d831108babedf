/* The numbers among the names of a directory, also where what claims to be one is none. */
#include "base/listing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Alignas(struct vmt_listing_entry) char bytes[4096];

static size_t
put(size_t at, const char *name, uint16_t length)
{
	struct vmt_listing_entry *entry = (void *)(bytes + at);

	entry->bytes = length;
	memcpy(entry->name, name, strlen(name) + 1);
	return at + length;
}

static void
numbers_are_found_among_names(void **state)
{
	struct vmt_listing listing = {.bytes = bytes};
	uint64_t number = 0;

	(void)state;
	listing.length = put(put(put(put(0, ".", 24), "17", 24), "self", 32), "4194304", 32);
	assert_true(vmt_listing_next(&listing, &number));
	assert_int_equal(number, 17);
	assert_true(vmt_listing_next(&listing, &number));
	assert_int_equal(number, 4194304);
	assert_false(vmt_listing_next(&listing, &number));
	assert_true(vmt_listing_is_done(&listing));
}

/* An entry of no length would be read for ever, one too long leads out of the listing. */
static void
what_is_no_entry_ends_it(void **state)
{
	static const uint16_t lengths[] = {0, 1, 18, 4096};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct vmt_listing listing = {.bytes = bytes, .length = 48};
		uint64_t number = 0;

		put(0, "17", 24);
		put(24, "18", lengths[i]);
		assert_true(vmt_listing_next(&listing, &number));
		assert_int_equal(number, 17);
		assert_false(vmt_listing_next(&listing, &number));
		assert_false(vmt_listing_is_done(&listing));
	}
}

static void
this_process_is_listed(void **state)
{
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct vmt_listing listing = {.bytes = bytes};
	uint64_t number = 0;

	(void)state;
	assert_true(fd >= 0);
	listing.length = (size_t)syscall(SYS_getdents64, fd, bytes, sizeof(bytes));
	assert_true(vmt_listing_next(&listing, &number));
	assert_int_equal(number, getpid());
	assert_false(vmt_listing_next(&listing, &number));
	assert_true(vmt_listing_is_done(&listing));
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_are_found_among_names),
	    cmocka_unit_test(what_is_no_entry_ends_it),
	    cmocka_unit_test(this_process_is_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
