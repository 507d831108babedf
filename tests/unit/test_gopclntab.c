/* Tables made by hand, one of each version, and damaged; and a real one of Go 1.15, which Go's own
 * tests keep. What test_symbols_go.c builds has real ones of 1.18 and 1.20. */
#include "tools/read/gopclntab.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT UINT64_C(0x401000)
#define OUTER TEXT
#define LEAF (TEXT + 0x40)
#define END (TEXT + 0x50)
#define INSIDE (TEXT + 0x14) /* of what was inlined into outer */
#define CALL_OFFSET 0x0cu
#define TABLE_BYTES 2048u
#define REAL_BYTES (4u << 20)

/* outer is at a.go, its line is 5 up to 0xc, 7 up to 0x10, 8 from 0x20 on; between lies inner, line
 * 3 of b.go, called in line 7. leaf is line 20 of a.go. */
struct table {
	unsigned char bytes[TABLE_BYTES];
	unsigned char inlines[64];
	enum vmt_gopclntab_version version;
	uint32_t length;
	uint32_t files; /* offsets of the parts */
	uint32_t names;
	uint32_t values;
	uint32_t records;
	uint32_t units;
	bool relative; /* the header has the start of the text */
};

static uint32_t
put(struct table *table, const void *bytes, uint32_t length)
{
	uint32_t at = table->length;

	assert_true(length <= TABLE_BYTES - at);
	memcpy(table->bytes + at, bytes, length);
	table->length += length;
	return at;
}

static uint32_t
put_number(struct table *table, uint64_t number, uint32_t bytes)
{
	return put(table, &number, bytes);
}

static void
set_number(struct table *table, uint32_t at, uint64_t number, uint32_t bytes)
{
	memcpy(table->bytes + at, &number, bytes);
}

/* Steps of (change of the value, code bytes), ended by 0. */
static uint32_t
put_values(struct table *table, const int (*steps)[2], uint32_t count)
{
	uint32_t at = table->length;

	for (uint32_t i = 0; i < count; i++) {
		int change = steps[i][0];

		put_number(table, (uint32_t)(change < 0 ? -2 * change - 1 : 2 * change), 1);
		put_number(table, (uint32_t)steps[i][1], 1);
	}
	put_number(table, 0, 1);
	return at;
}

static bool
is_split(const struct table *table)
{
	return table->version >= VMT_GOPCLNTAB_1_16;
}

static uint32_t
entry_bytes(const struct table *table)
{
	return table->version >= VMT_GOPCLNTAB_1_18 ? 4 : 8;
}

/* Offsets of a part are from its start, but from the whole table's in the first version. */
static uint32_t
within(const struct table *table, uint32_t at, uint32_t part)
{
	return is_split(table) ? at - part : at;
}

struct function {
	uint64_t entry;
	uint32_t name, files, lines, inlined;
	bool has_tree;
};

static uint32_t
put_record(struct table *table, const struct function *function)
{
	bool modern = table->version >= VMT_GOPCLNTAB_1_18;
	uint32_t at = put_number(table, modern ? function->entry - TEXT : function->entry,
				 entry_bytes(table));

	put_number(table, within(table, function->name, table->names), 4);
	put_number(table, 0, 8); /* arguments, defer */
	put_number(table, 0, 4); /* stack */
	put_number(table, within(table, function->files, table->values), 4);
	put_number(table, within(table, function->lines, table->values), 4);
	put_number(table, 3, 4); /* pcdata */
	if (is_split(table))
		put_number(table, 0, 4); /* unit */
	if (table->version == VMT_GOPCLNTAB_1_20)
		put_number(table, 1, 4); /* first line */
	put_number(table, UINT64_C(4) << 24, 4);
	put_number(table, 0, 8);
	put_number(table, function->inlined ? within(table, function->inlined, table->values) : 0,
		   4);
	put_number(table, UINT64_MAX, 8);
	put_number(table, UINT32_MAX, 4);
	put_number(table, function->has_tree ? 0 : UINT32_MAX, 4);
	return at;
}

static void
put_tree(struct table *table, uint32_t inner)
{
	bool old = table->version == VMT_GOPCLNTAB_1_18;

	memset(table->inlines, 0, sizeof(table->inlines));
	memcpy(table->inlines + (old ? 12 : 4), &inner, 4);
	memcpy(table->inlines + (old ? 16 : 8), &(uint32_t){CALL_OFFSET}, 4);
}

static void
put_functions(struct table *table, struct function *outer, struct function *leaf)
{
	static const int lines[][2] = {{6, 0xc}, {2, 4}, {-4, 0x10}, {5, 0x20}};
	static const int files[][2] = {{1, 0x10}, {1, 0x10}, {-1, 0x20}};
	static const int inlined[][2] = {{0, 0x10}, {1, 0x10}, {-1, 0x20}};
	static const int leaf_lines[][2] = {{21, 0x10}};
	static const int leaf_files[][2] = {{1, 0x10}};
	/* The first version counts files from 1. */
	static const int first_files[][2] = {{2, 0x10}, {1, 0x10}, {-1, 0x20}};
	static const int first_leaf[][2] = {{2, 0x10}};

	table->values = table->length;
	put_number(table, 0, 1);
	outer->lines = put_values(table, lines, 4);
	outer->files = put_values(table, is_split(table) ? files : first_files, 3);
	outer->inlined = put_values(table, inlined, 3);
	leaf->lines = put_values(table, leaf_lines, 1);
	leaf->files = put_values(table, is_split(table) ? leaf_files : first_leaf, 1);
}

static void
put_files(struct table *table)
{
	static const char names[] = "a.go\0b.go";
	uint32_t at = put(table, names, sizeof(names));

	table->files = table->length;
	if (!is_split(table)) {
		put_number(table, 3, 4);
		put_number(table, at, 4);
		put_number(table, at + 5, 4);
		return;
	}
	table->units = table->files;
	table->files = at;
	put_number(table, 0, 4);
	put_number(table, 5, 4);
}

static void
make_header(struct table *table)
{
	static const uint32_t magics[] = {
	    [VMT_GOPCLNTAB_1_2] = 0xfffffffb,
	    [VMT_GOPCLNTAB_1_16] = 0xfffffffa,
	    [VMT_GOPCLNTAB_1_18] = 0xfffffff0,
	    [VMT_GOPCLNTAB_1_20] = 0xfffffff1,
	};

	put_number(table, magics[table->version], 4);
	put_number(table, 0, 2);
	put_number(table, 1, 1);
	put_number(table, 8, 1);
	put_number(table, 2, 8); /* functions */
	if (!is_split(table)) {
		put_number(table, 0, 8);
		table->length += 5 * 8; /* index, then the offset of files */
		return;
	}
	put_number(table, 2, 8);
	if (table->version >= VMT_GOPCLNTAB_1_18)
		put_number(table, table->relative ? TEXT : 0, 8);
	table->length += 5 * 8;
}

static void
fill_index(struct table *table, uint32_t index, uint32_t outer, uint32_t leaf)
{
	uint64_t base = table->version >= VMT_GOPCLNTAB_1_18 ? TEXT : 0;
	uint32_t bytes = entry_bytes(table);
	const uint64_t words[] = {OUTER - base, within(table, outer, table->records), LEAF - base,
				  within(table, leaf, table->records), END - base};

	for (uint32_t i = 0; i < 5; i++)
		set_number(table, index + i * bytes, words[i], bytes);
}

static void
fill_header(struct table *table)
{
	uint32_t at = table->version >= VMT_GOPCLNTAB_1_18 ? 32 : 24;
	const uint32_t parts[] = {table->names, table->units, table->files, table->values,
				  table->records};

	for (uint32_t i = 0; is_split(table) && i < 5; i++)
		set_number(table, at + i * 8, parts[i], 8);
}

static void
make(struct table *table, enum vmt_gopclntab_version version, bool relative)
{
	static const char names[] = "main.outer\0main.inner\0main.leaf";
	struct function outer = {.entry = OUTER, .has_tree = true};
	struct function leaf = {.entry = LEAF};
	uint32_t index = 16;
	uint32_t records[2];

	memset(table, 0, sizeof(*table));
	table->version = version;
	table->relative = relative;
	make_header(table);
	table->names = put(table, names, sizeof(names));
	outer.name = table->names;
	leaf.name = table->names + 22;
	put_files(table);
	put_functions(table, &outer, &leaf);
	table->records = table->length;
	if (is_split(table)) {
		index = table->length;
		table->length += 6 * entry_bytes(table);
	}
	records[0] = put_record(table, &outer);
	records[1] = put_record(table, &leaf);
	fill_index(table, index, records[0], records[1]);
	if (!is_split(table))
		set_number(table, index + 40, table->files, 4);
	fill_header(table);
	put_tree(table, 11);
}

static bool
open_table(struct vmt_gopclntab *opened, const struct table *table, uint64_t text)
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

	assert_int_equal(vmt_gopclntab_find(table, OUTER, frames, 4), 1);
	check_frame(&frames[0], "main.outer", "a.go", 5, false);
	assert_int_equal(vmt_gopclntab_find(table, OUTER + 0x3f, frames, 4), 1);
	check_frame(&frames[0], "main.outer", "a.go", 8, false);
	assert_int_equal(vmt_gopclntab_find(table, LEAF + 1, frames, 4), 1);
	check_frame(&frames[0], "main.leaf", "a.go", 20, false);
	assert_int_equal(vmt_gopclntab_find(table, OUTER - 1, frames, 4), 0);
	assert_int_equal(vmt_gopclntab_find(table, END, frames, 4), 0);
	assert_int_equal(vmt_gopclntab_find(table, INSIDE, frames, 4), has_inlined ? 2 : 1);
	check_frame(&frames[0], has_inlined ? "main.inner" : "main.outer", "b.go", 3, has_inlined);
	if (has_inlined)
		check_frame(&frames[1], "main.outer", "a.go", 7, false);
	assert_int_equal(vmt_gopclntab_find(table, INSIDE, frames, 1), 1);
}

static void
every_version_is_read(void **state)
{
	(void)state;
	for (int version = VMT_GOPCLNTAB_1_2; version <= VMT_GOPCLNTAB_1_20; version++) {
		struct vmt_gopclntab opened;
		struct table table;

		make(&table, (enum vmt_gopclntab_version)version, true);
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
	struct table table;

	(void)state;
	make(&table, VMT_GOPCLNTAB_1_20, false);
	assert_true(open_table(&opened, &table, TEXT));
	check_table(&opened, true);
	assert_true(open_table(&opened, &table, 0));
	assert_int_equal(vmt_gopclntab_find(&opened, OUTER, &frame, 1), 0);
	assert_int_equal(vmt_gopclntab_find(&opened, 0, &frame, 1), 1);
}

static void
functions_are_found_by_name(void **state)
{
	struct vmt_gopclntab_function function;
	struct vmt_gopclntab opened;
	struct table table;
	uint64_t cursor = 0;

	(void)state;
	make(&table, VMT_GOPCLNTAB_1_18, true);
	assert_true(open_table(&opened, &table, 0));
	assert_true(vmt_gopclntab_named(&opened, "main.leaf", &cursor, &function));
	assert_int_equal(function.start, LEAF);
	assert_int_equal(function.end, END);
	assert_false(vmt_gopclntab_named(&opened, "main.leaf", &cursor, &function));
	cursor = 0;
	assert_false(vmt_gopclntab_named(&opened, "main.inner", &cursor, &function));
	assert_true(vmt_gopclntab_covering(&opened, INSIDE, &function));
	assert_string_equal(function.name, "main.outer");
}

static void
what_is_no_table_is_refused(void **state)
{
	static const unsigned char zeros[64];
	struct vmt_gopclntab opened;
	struct table table;

	(void)state;
	assert_false(vmt_gopclntab_open(&opened, zeros, sizeof(zeros), 0));
	for (int version = VMT_GOPCLNTAB_1_2; version <= VMT_GOPCLNTAB_1_20; version++) {
		make(&table, (enum vmt_gopclntab_version)version, true);
		for (size_t length = 0; length < 64; length++)
			assert_false(vmt_gopclntab_open(&opened, table.bytes, length, 0));
		/* more functions than there is room for */
		memset(table.bytes + 8, 0x7f, 7);
		assert_false(vmt_gopclntab_open(&opened, table.bytes, table.length, 0));
	}
	make(&table, VMT_GOPCLNTAB_1_20, true);
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
		struct table table;
		unsigned char *copy;

		make(&table, (enum vmt_gopclntab_version)(1 + round % 4), true);
		for (unsigned flips = 0; flips < 1 + round % 5; flips++) {
			random = random * 1664525u + 1013904223u;
			table.bytes[(random >> 8) % table.length] = (unsigned char)(random >> 24);
		}
		copy = malloc(table.length);
		assert_non_null(copy);
		memcpy(copy, table.bytes, table.length);
		if (vmt_gopclntab_open(&opened, copy, table.length, 0)) {
			opened.inlines = (struct vmt_gopclntab_part){table.inlines, 20};
			for (uint64_t at = OUTER; at < END; at += 4)
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
