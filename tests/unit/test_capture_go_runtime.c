#include "capture/go/go_runtime.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LONGEST_S 60

static char path[64];

/* As a library of Go's without a build id looks: a variable of each thread that begins as 0. */
static int
list_one(int (*visit)(struct dl_phdr_info *info, size_t size, void *data), void *data)
{
	static const ElfW(Phdr) headers[] = {{.p_type = PT_TLS, .p_memsz = 8}};
	struct dl_phdr_info info = {
	    .dlpi_name = path, .dlpi_phdr = headers, .dlpi_phnum = 1, .dlpi_addr = 4096};

	return visit(&info, sizeof(info), data);
}

/* Nobody writes to it: whoever waits for that is ended. */
static void
a_fifo_in_the_place_of_a_library_is_not_waited_for(void **state)
{
	char directory[] = "/tmp/vmtrace.XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/library.so", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(LONGEST_S);
	assert_false(vmt_go_runtime_set_up(list_one, true, false, NULL));
	alarm(0);
	unlink(path);
	rmdir(directory);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_fifo_in_the_place_of_a_library_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
