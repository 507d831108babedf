/* What /sys says of the sizes of folios, in a directory of the test's own. */
#include "collect/touch_folios.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

static char directory[] = "/tmp/vmtrace-folios-XXXXXX";

static void
say(const char *size, const char *words)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, size);
	mkdir(path, 0700);
	snprintf(path, sizeof(path), "%s/%s/enabled", directory, size);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(words, file);
	fclose(file);
}

static void
expect(uint32_t always, uint32_t advised)
{
	const struct vmt_touch_folios folios = vmt_touch_folios_read(directory);

	assert_int_equal(folios.always, always);
	assert_int_equal(folios.advised, advised);
}

static void
test_settings(void **state)
{
	(void)state;
	expect(0, 0); /* a kernel that has none */
	say(".", "always [madvise] never\n");
	expect(0, 0); /* none but huge pages */
	say("hugepages-2048kB", "always [inherit] madvise never\n");
	say("hugepages-64kB", "[always] inherit madvise never\n");
	say("hugepages-32kB", "always inherit [madvise] never\n");
	say("hugepages-16kB", "always inherit madvise [never]\n");
	say("hugepages-1024kB", "always [inherit] madvise never\n");
	expect(1u << 16, 1u << 15 | 1u << 20);
	say(".", "[always] madvise never\n");
	expect(1u << 16 | 1u << 20, 1u << 15);
	say(".", "always madvise [never]\n");
	say("hugepages-64kB", "");
	say("hugepages-32kB", "always inherit madvise");
	expect(0, 0);
}

static int
make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int
remove_directory(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", directory);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_settings)};

	return cmocka_run_group_tests_name("sizes of folios", tests, make_directory,
					   remove_directory);
}
