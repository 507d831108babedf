/*
 * go_table.h: tables of Go functions, made by hand, one of each version.
 *
 * For the tests of gopclntab.h and for the fuzzer's corpus. The symbols of the two functions and
 * their lines stand at struct go_table.
 */
#ifndef GO_TABLE_H
#define GO_TABLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "unwind/gopclntab.h"

#define GO_TABLE_TEXT UINT64_C(0x401000)
#define GO_TABLE_OUTER GO_TABLE_TEXT
#define GO_TABLE_LEAF (GO_TABLE_TEXT + 0x40)
#define GO_TABLE_END (GO_TABLE_TEXT + 0x50)
#define GO_TABLE_INSIDE (GO_TABLE_TEXT + 0x14) /* of what was inlined into outer */
#define GO_TABLE_CALL_OFFSET 0x0cu
#define GO_TABLE_BYTES 2048u

/* outer is at a.go, its line is 5 up to 0xc, 7 up to 0x10, 8 from 0x20 on; between lies inner, line
 * 3 of b.go, called in line 7. leaf is line 20 of a.go. */
struct go_table {
	unsigned char bytes[GO_TABLE_BYTES];
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

__attribute__((unused)) static uint32_t
go_table_put(struct go_table *table, const void *bytes, uint32_t length)
{
	uint32_t at = table->length;

	assert_true(length <= GO_TABLE_BYTES - at);
	memcpy(table->bytes + at, bytes, length);
	table->length += length;
	return at;
}

__attribute__((unused)) static uint32_t
go_table_put_number(struct go_table *table, uint64_t number, uint32_t bytes)
{
	return go_table_put(table, &number, bytes);
}

__attribute__((unused)) static void
go_table_set_number(struct go_table *table, uint32_t at, uint64_t number, uint32_t bytes)
{
	memcpy(table->bytes + at, &number, bytes);
}

/* Steps of (change of the value, code bytes), ended by 0. */
__attribute__((unused)) static uint32_t
go_table_put_values(struct go_table *table, const int (*steps)[2], uint32_t count)
{
	uint32_t at = table->length;

	for (uint32_t i = 0; i < count; i++) {
		int change = steps[i][0];

		go_table_put_number(table, (uint32_t)(change < 0 ? -2 * change - 1 : 2 * change),
				    1);
		go_table_put_number(table, (uint32_t)steps[i][1], 1);
	}
	go_table_put_number(table, 0, 1);
	return at;
}

__attribute__((unused)) static bool
go_table_is_split(const struct go_table *table)
{
	return table->version >= VMT_GOPCLNTAB_1_16;
}

__attribute__((unused)) static uint32_t
go_table_entry_bytes(const struct go_table *table)
{
	return table->version >= VMT_GOPCLNTAB_1_18 ? 4 : 8;
}

/* Offsets of a part are from its start, but from the whole table's in the first version. */
__attribute__((unused)) static uint32_t
go_table_within(const struct go_table *table, uint32_t at, uint32_t part)
{
	return go_table_is_split(table) ? at - part : at;
}

struct go_table_function {
	uint64_t entry;
	uint32_t name, files, lines, inlined;
	bool has_tree;
};

__attribute__((unused)) static uint32_t
go_table_put_record(struct go_table *table, const struct go_table_function *function)
{
	bool modern = table->version >= VMT_GOPCLNTAB_1_18;
	uint32_t at =
	    go_table_put_number(table, modern ? function->entry - GO_TABLE_TEXT : function->entry,
				go_table_entry_bytes(table));

	go_table_put_number(table, go_table_within(table, function->name, table->names), 4);
	go_table_put_number(table, 0, 8); /* arguments, defer */
	go_table_put_number(table, 0, 4); /* stack */
	go_table_put_number(table, go_table_within(table, function->files, table->values), 4);
	go_table_put_number(table, go_table_within(table, function->lines, table->values), 4);
	go_table_put_number(table, 3, 4); /* pcdata */
	if (go_table_is_split(table))
		go_table_put_number(table, 0, 4); /* unit */
	if (table->version == VMT_GOPCLNTAB_1_20)
		go_table_put_number(table, 1, 4); /* first line */
	go_table_put_number(table, UINT64_C(4) << 24, 4);
	go_table_put_number(table, 0, 8);
	go_table_put_number(
	    table, function->inlined ? go_table_within(table, function->inlined, table->values) : 0,
	    4);
	go_table_put_number(table, UINT64_MAX, 8);
	go_table_put_number(table, UINT32_MAX, 4);
	go_table_put_number(table, function->has_tree ? 0 : UINT32_MAX, 4);
	return at;
}

__attribute__((unused)) static void
go_table_put_tree(struct go_table *table, uint32_t inner)
{
	bool old = table->version == VMT_GOPCLNTAB_1_18;

	memset(table->inlines, 0, sizeof(table->inlines));
	memcpy(table->inlines + (old ? 12 : 4), &inner, 4);
	memcpy(table->inlines + (old ? 16 : 8), &(uint32_t){GO_TABLE_CALL_OFFSET}, 4);
}

__attribute__((unused)) static void
go_table_put_functions(struct go_table *table, struct go_table_function *outer,
		       struct go_table_function *leaf)
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
	go_table_put_number(table, 0, 1);
	outer->lines = go_table_put_values(table, lines, 4);
	outer->files =
	    go_table_put_values(table, go_table_is_split(table) ? files : first_files, 3);
	outer->inlined = go_table_put_values(table, inlined, 3);
	leaf->lines = go_table_put_values(table, leaf_lines, 1);
	leaf->files =
	    go_table_put_values(table, go_table_is_split(table) ? leaf_files : first_leaf, 1);
}

__attribute__((unused)) static void
go_table_put_files(struct go_table *table)
{
	static const char names[] = "a.go\0b.go";
	uint32_t at = go_table_put(table, names, sizeof(names));

	table->files = table->length;
	if (!go_table_is_split(table)) {
		go_table_put_number(table, 3, 4);
		go_table_put_number(table, at, 4);
		go_table_put_number(table, at + 5, 4);
		return;
	}
	table->units = table->files;
	table->files = at;
	go_table_put_number(table, 0, 4);
	go_table_put_number(table, 5, 4);
}

__attribute__((unused)) static void
go_table_make_header(struct go_table *table)
{
	static const uint32_t magics[] = {
	    [VMT_GOPCLNTAB_1_2] = 0xfffffffb,
	    [VMT_GOPCLNTAB_1_16] = 0xfffffffa,
	    [VMT_GOPCLNTAB_1_18] = 0xfffffff0,
	    [VMT_GOPCLNTAB_1_20] = 0xfffffff1,
	};

	go_table_put_number(table, magics[table->version], 4);
	go_table_put_number(table, 0, 2);
	go_table_put_number(table, 1, 1);
	go_table_put_number(table, 8, 1);
	go_table_put_number(table, 2, 8); /* functions */
	if (!go_table_is_split(table)) {
		go_table_put_number(table, 0, 8);
		table->length += 5 * 8; /* index, then the offset of files */
		return;
	}
	go_table_put_number(table, 2, 8);
	if (table->version >= VMT_GOPCLNTAB_1_18)
		go_table_put_number(table, table->relative ? GO_TABLE_TEXT : 0, 8);
	table->length += 5 * 8;
}

__attribute__((unused)) static void
go_table_fill_index(struct go_table *table, uint32_t index, uint32_t outer, uint32_t leaf)
{
	uint64_t base = table->version >= VMT_GOPCLNTAB_1_18 ? GO_TABLE_TEXT : 0;
	uint32_t bytes = go_table_entry_bytes(table);
	const uint64_t words[] = {
	    GO_TABLE_OUTER - base, go_table_within(table, outer, table->records),
	    GO_TABLE_LEAF - base, go_table_within(table, leaf, table->records),
	    GO_TABLE_END - base};

	for (uint32_t i = 0; i < 5; i++)
		go_table_set_number(table, index + i * bytes, words[i], bytes);
}

__attribute__((unused)) static void
go_table_fill_header(struct go_table *table)
{
	uint32_t at = table->version >= VMT_GOPCLNTAB_1_18 ? 32 : 24;
	const uint32_t parts[] = {table->names, table->units, table->files, table->values,
				  table->records};

	for (uint32_t i = 0; go_table_is_split(table) && i < 5; i++)
		go_table_set_number(table, at + i * 8, parts[i], 8);
}

__attribute__((unused)) static void
go_table_make(struct go_table *table, enum vmt_gopclntab_version version, bool relative)
{
	static const char names[] = "main.outer\0main.inner\0main.leaf";
	struct go_table_function outer = {.entry = GO_TABLE_OUTER, .has_tree = true};
	struct go_table_function leaf = {.entry = GO_TABLE_LEAF};
	uint32_t index = 16;
	uint32_t records[2];

	memset(table, 0, sizeof(*table));
	table->version = version;
	table->relative = relative;
	go_table_make_header(table);
	table->names = go_table_put(table, names, sizeof(names));
	outer.name = table->names;
	leaf.name = table->names + 22;
	go_table_put_files(table);
	go_table_put_functions(table, &outer, &leaf);
	table->records = table->length;
	if (go_table_is_split(table)) {
		index = table->length;
		table->length += 6 * go_table_entry_bytes(table);
	}
	records[0] = go_table_put_record(table, &outer);
	records[1] = go_table_put_record(table, &leaf);
	go_table_fill_index(table, index, records[0], records[1]);
	if (!go_table_is_split(table))
		go_table_set_number(table, index + 40, table->files, 4);
	go_table_fill_header(table);
	go_table_put_tree(table, 11);
}

#endif
