/* Tables made by hand, one of each version, and damaged; and a real one of Go 1.15, which Go's own
 * tests keep. What test_symbols_go.c builds has real ones of 1.18 and 1.20. */
#include "unwind/gopclntab.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/go_table.h"

#define REAL_BYTES (4u << 20)

static bool
open_table(struct vmt_gopclntab *opened, const struct go_table *table, uint64_t text)
{
	if (!vmt_gopclntab_open(opened, table->bytes, table->length, text))
		return false;
	if (table->version >= VMT_GOPCLNTAB_1_18)
		opened->inlines = (struct vmt_gopclntab_part){table->inlines, 64};
	return true;
}

static void
check_frame(const struct vmt_gopclntab_frame *frame, const char *function, const char *file,
	    uint32_t line, bool inlined)
{
	assert_string_equal(frame->function, function);
	assert_string_equal(frame->file, file);
	assert_int_equal(frame->line, line);
	assert_int_equal(frame->inlined, inlined);
}

static void
check_table(const struct vmt_gopclntab *table, bool has_inlined)
{
	struct vmt_gopclntab_frame frames[4];

	assert_int_equal(vmt_gopclntab_find(table, GO_TABLE_OUTER, frames, 4), 1);
	check_frame(&frames[0], "main.outer", "a.go", 5, false);
	assert_int_equal(vmt_gopclntab_find(table, GO_TABLE_OUTER + 0x3f, frames, 4), 1);
	check_frame(&frames[0], "main.outer", "a.go", 8, false);
	assert_int_equal(vmt_gopclntab_find(table, GO_TABLE_LEAF + 1, frames, 4), 1);
	check_frame(&frames[0], "main.leaf", "a.go", 20, false);
	assert_int_equal(vmt_gopclntab_find(table, GO_TABLE_OUTER - 1, frames, 4), 0);
	assert_int_equal(vmt_gopclntab_find(table, GO_TABLE_END, frames, 4), 0);
	assert_int_equal(vmt_gopclntab_find(table, GO_TABLE_INSIDE, frames, 4),
			 has_inlined ? 2 : 1);
	check_frame(&frames[0], has_inlined ? "main.inner" : "main.outer", "b.go", 3, has_inlined);
	if (has_inlined)
		check_frame(&frames[1], "main.outer", "a.go", 7, false);
	assert_int_equal(vmt_gopclntab_find(table, GO_TABLE_INSIDE, frames, 1), 1);
}

static void
every_version_is_read(void **state)
{
	(void)state;
	for (int version = VMT_GOPCLNTAB_1_2; version <= VMT_GOPCLNTAB_1_20; version++) {
		struct vmt_gopclntab opened;
		struct go_table table;

		go_table_make(&table, (enum vmt_gopclntab_version)version, true);
		assert_true(open_table(&opened, &table, 0));
		assert_int_equal(opened.version, version);
		check_table(&opened, version >= VMT_GOPCLNTAB_1_18);
		opened.inlines.length = 0;
		check_table(&opened, false);
	}
}

static void
the_text_may_begin_elsewhere(void **state)
{
	struct vmt_gopclntab_frame frame;
	struct vmt_gopclntab opened;
	struct go_table table;

	(void)state;
	go_table_make(&table, VMT_GOPCLNTAB_1_20, false);
	assert_true(open_table(&opened, &table, GO_TABLE_TEXT));
	check_table(&opened, true);
	assert_true(open_table(&opened, &table, 0));
	assert_int_equal(vmt_gopclntab_find(&opened, GO_TABLE_OUTER, &frame, 1), 0);
	assert_int_equal(vmt_gopclntab_find(&opened, 0, &frame, 1), 1);
}

static void
functions_are_found_by_name(void **state)
{
	struct vmt_gopclntab_function function;
	struct vmt_gopclntab opened;
	struct go_table table;
	uint64_t cursor = 0;

	(void)state;
	go_table_make(&table, VMT_GOPCLNTAB_1_18, true);
	assert_true(open_table(&opened, &table, 0));
	assert_true(vmt_gopclntab_named(&opened, "main.leaf", &cursor, &function));
	assert_int_equal(function.start, GO_TABLE_LEAF);
	assert_int_equal(function.end, GO_TABLE_END);
	assert_false(vmt_gopclntab_named(&opened, "main.leaf", &cursor, &function));
	cursor = 0;
	assert_false(vmt_gopclntab_named(&opened, "main.inner", &cursor, &function));
	assert_true(vmt_gopclntab_covering(&opened, GO_TABLE_INSIDE, &function));
	assert_string_equal(function.name, "main.outer");
}

static void
what_is_no_table_is_refused(void **state)
{
	static const unsigned char zeros[64];
	struct vmt_gopclntab opened;
	struct go_table table;

	(void)state;
	assert_false(vmt_gopclntab_open(&opened, zeros, sizeof(zeros), 0));
	for (int version = VMT_GOPCLNTAB_1_2; version <= VMT_GOPCLNTAB_1_20; version++) {
		go_table_make(&table, (enum vmt_gopclntab_version)version, true);
		for (size_t length = 0; length < 64; length++)
			assert_false(vmt_gopclntab_open(&opened, table.bytes, length, 0));
		/* more functions than there is room for */
		memset(table.bytes + 8, 0x7f, 7);
		assert_false(vmt_gopclntab_open(&opened, table.bytes, table.length, 0));
	}
	go_table_make(&table, VMT_GOPCLNTAB_1_20, true);
	table.bytes[7] = 5;
	assert_int_equal(vmt_gopclntab_version(table.bytes, table.length), VMT_GOPCLNTAB_NONE);
}

/* In a block of its own size, so that a read beyond is seen by the sanitizer. */
static void
damaged_tables_do_no_harm(void **state)
{
	uint32_t random = 7;
	unsigned answers = 0;

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		struct vmt_gopclntab_frame frames[4];
		struct vmt_gopclntab opened;
		struct go_table table;
		unsigned char *copy;

		go_table_make(&table, (enum vmt_gopclntab_version)(1 + round % 4), true);
		for (unsigned flips = 0; flips < 1 + round % 5; flips++) {
			random = random * 1664525u + 1013904223u;
			table.bytes[(random >> 8) % table.length] = (unsigned char)(random >> 24);
		}
		copy = malloc(table.length);
		assert_non_null(copy);
		memcpy(copy, table.bytes, table.length);
		if (vmt_gopclntab_open(&opened, copy, table.length, 0)) {
			opened.inlines = (struct vmt_gopclntab_part){table.inlines, 20};
			for (uint64_t at = GO_TABLE_OUTER; at < GO_TABLE_END; at += 4)
				answers += vmt_gopclntab_find(&opened, at, frames, 4) > 0;
		}
		free(copy);
	}
	assert_true(answers > 1000);
}

/* The unpacked file of some toolchain's sources, or NULL. */
static unsigned char *
read_real(size_t *length)
{
	static const char name[] = "go-*/src/debug/gosym/testdata/pcln115.gz";
	unsigned char *bytes = NULL;
	char text[256];
	glob_t found;
	FILE *pipe;

	snprintf(text, sizeof(text), "/usr/share/%s", name);
	if (glob(text, 0, NULL, &found) != 0) {
		globfree(&found);
		snprintf(text, sizeof(text), "/opt/go-debian/*/usr/share/%s", name);
		if (glob(text, 0, NULL, &found) != 0)
			goto out;
	}
	snprintf(text, sizeof(text), "gzip -dc '%s'", found.gl_pathv[0]);
	pipe = popen(text, "r");
	bytes = malloc(REAL_BYTES);
	assert_non_null(pipe);
	assert_non_null(bytes);
	*length = fread(bytes, 1, REAL_BYTES, pipe);
	assert_in_range(*length, 1, REAL_BYTES - 1);
	assert_int_equal(pclose(pipe), 0);
out:
	globfree(&found);
	return bytes;
}

/* debug/gosym/pclntab_test.go says where main.main lies in it; from there its neighbours. */
static void
a_real_table_of_go_1_15_is_read(void **state)
{
	struct vmt_gopclntab_function function;
	struct vmt_gopclntab_frame frames[4];
	struct vmt_gopclntab table;
	uint64_t cursor = 0;
	uint64_t functions = 0;
	size_t length = 0;
	unsigned char *bytes = read_real(&length);

	(void)state;
	if (!bytes) {
		puts("skip: no sources of Go (golang-1.19-src)");
		skip();
	}
	assert_true(vmt_gopclntab_open(&table, bytes, length, 0));
	assert_int_equal(table.version, VMT_GOPCLNTAB_1_2);
	assert_true(vmt_gopclntab_named(&table, "main.main", &cursor, &function));
	assert_int_equal(function.start, 0x105c280);
	assert_int_equal(vmt_gopclntab_find(&table, function.start, frames, 4), 1);
	assert_string_equal(frames[0].function, "main.main");
	assert_string_equal(frames[0].file, "/tmp/hello.go");
	assert_int_equal(frames[0].line, 3);
	cursor = 0;
	assert_true(vmt_gopclntab_named(&table, "runtime.(*mheap).sysAlloc", &cursor, &function));
	while (vmt_gopclntab_covering(&table, function.start, &function)) {
		assert_non_null(function.name);
		assert_true(function.end > function.start);
		assert_int_equal(vmt_gopclntab_find(&table, function.end - 1, frames, 4), 1);
		assert_string_equal(frames[0].function, function.name);
		assert_true(frames[0].file == NULL || frames[0].file[0] != '\0');
		function.start = function.end;
		functions++;
	}
	assert_true(functions > 500 && functions <= table.functions);
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_version_is_read),
	    cmocka_unit_test(the_text_may_begin_elsewhere),
	    cmocka_unit_test(functions_are_found_by_name),
	    cmocka_unit_test(what_is_no_table_is_refused),
	    cmocka_unit_test(damaged_tables_do_no_harm),
	    cmocka_unit_test(a_real_table_of_go_1_15_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
