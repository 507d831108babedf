#include "tools/cmd/record_summary.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The command that a recording's summary ends with names the trace for a shell, on one line, and
 * whatever a program was called, the terminal gets no commands. */
static void
check_named(const char *path, const char *word, const char *page)
{
	struct vmt_record_summary recorded = {.count = 0};
	char wanted[512];
	char *out = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&out, &size);

	vmt_record_summary_add(&recorded, path);
	vmt_record_summary_print(&recorded, 1, file);
	vmt_record_summary_free(&recorded);
	fclose(file);
	snprintf(wanted, sizeof(wanted),
		 "vmtrace: next: vmtrace report %s\n"
		 "vmtrace: as a page: vmtrace report %s --format html -o %s\n",
		 word, word, page);
	assert_non_null(strstr(out, wanted));
	free(out);
}

static void
names_are_quoted_for_a_shell(void **state)
{
	(void)state;
	check_named("/nowhere/a-1.vmt", "/nowhere/a-1.vmt", "/nowhere/a-1.html");
	check_named("-x.vmt", "./-x.vmt", "./-x.html");
	check_named("/nowhere/a b$c", "'/nowhere/a b$c'", "'/nowhere/a b$c.html'");
	check_named("/nowhere/\xc3\xa9", "'/nowhere/\xc3\xa9'", "'/nowhere/\xc3\xa9.html'");
	check_named("/nowhere/it's", "$'/nowhere/it\\'s'", "$'/nowhere/it\\'s.html'");
}

static void
names_send_a_terminal_no_commands(void **state)
{
	(void)state;
	check_named("/nowhere/\033]0;x\a\\", "$'/nowhere/\\033]0;x\\007\\\\'",
		    "$'/nowhere/\\033]0;x\\007\\\\.html'");
	check_named("/nowhere/\xc2\x9b", "$'/nowhere/\\302\\233'", "$'/nowhere/\\302\\233.html'");
	check_named("/nowhere/\xff", "$'/nowhere/\\377'", "$'/nowhere/\\377.html'");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_quoted_for_a_shell),
	    cmocka_unit_test(names_send_a_terminal_no_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
