/* Are names read out of a trace as they were written, and hostile ones refused? */
#include "format/varint.h"
#include "tools/read/symbols/names_writer.h"
#include "tools/read/symbols/packed_names.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PAYLOADS_MAX 64u
#define MANY 200000u

struct payload {
	unsigned char *bytes;
	size_t length;
};

static struct payload payloads[PAYLOADS_MAX];
static size_t payload_count;

static int
keep(void *context, const void *bytes, size_t length)
{
	(void)context;
	assert_true(payload_count < PAYLOADS_MAX);
	payloads[payload_count].bytes = malloc(length);
	memcpy(payloads[payload_count].bytes, bytes, length);
	payloads[payload_count++].length = length;
	return 0;
}

static void
forget(void)
{
	while (payload_count > 0)
		free(payloads[--payload_count].bytes);
}

static const struct vmt_module first = {.path = "/bin/first",
					.path_bytes = 10,
					.build_id = (const unsigned char *)"ab",
					.build_id_bytes = 2};
static const struct vmt_module second = {.path = "/lib/second.so", .path_bytes = 14};

/* Two modules: three addresses out of order, of which one has no names; one with trouble. */
static void
write_small(void)
{
	struct vmt_names_writer *writer = vmt_names_writer_new(keep, NULL);
	struct vmt_names_visitor to = vmt_names_writer_visitor(writer);
	static const struct vmt_symbol inlined[] = {
	    {.function = "inner", .file = "/src/a.c", .line = 12, .inlined = true},
	    {.function = "outer", .file = "/src/a.c", .line = 40},
	};
	static const struct vmt_symbol go = {.function = "main.run", .line = 7, .is_go = true};
	static const struct vmt_symbol_place place = {16, 8};

	assert_int_equal(to.module(to.context, &first, true, NULL), 0);
	assert_int_equal(to.address(to.context, 0x9000, &go, 1), 0);
	assert_int_equal(to.address(to.context, 0x1000, inlined, 2), 0);
	assert_int_equal(to.address(to.context, 0x2000, NULL, 0), 0);
	assert_int_equal(to.member(to.context, "runtime.x", "a.b", &place), 0);
	assert_int_equal(to.member(to.context, "runtime.x", "a.c", NULL), 0);
	assert_int_equal(to.module(to.context, &second, false, "file is gone"), 0);
	assert_int_equal(to.end(to.context), 0);
	vmt_names_writer_free(writer);
}

static void
check_small(struct vmt_packed_names *names)
{
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_packed_module *module = vmt_packed_names_find(names, &first);
	struct vmt_symbol_place place = {0, 0};

	assert_non_null(module);
	assert_true(vmt_packed_names_has_debug(module));
	assert_null(vmt_packed_names_trouble(module));
	assert_int_equal(vmt_packed_names_resolve(module, 0x1000, frames), 2);
	assert_string_equal(frames[0].function, "inner");
	assert_string_equal(frames[1].file, "/src/a.c");
	assert_int_equal(frames[0].line, 12);
	assert_true(frames[0].inlined && !frames[1].inlined && !frames[0].is_go);
	assert_int_equal(vmt_packed_names_resolve(module, 0x9000, frames), 1);
	assert_string_equal(frames[0].function, "main.run");
	assert_null(frames[0].file);
	assert_true(frames[0].is_go);
	assert_int_equal(vmt_packed_names_resolve(module, 0x2000, frames), 0);
	assert_int_equal(vmt_packed_names_resolve(module, 0x1001, frames), 0);
	assert_true(vmt_packed_names_go_member(module, "runtime.x", "a.b", &place));
	assert_true(place.offset == 16 && place.bytes == 8);
	assert_false(vmt_packed_names_go_member(module, "runtime.x", "a.c", &place));
	module = vmt_packed_names_find(names, &second);
	assert_non_null(module);
	assert_false(vmt_packed_names_has_debug(module));
	assert_string_equal(vmt_packed_names_trouble(module), "file is gone");
	assert_int_equal(vmt_packed_names_modules(names), 2);
	assert_int_equal(vmt_packed_names_addresses(names), 3);
}

static struct vmt_packed_names *
read_all(void)
{
	struct vmt_packed_names *names = vmt_packed_names_new();

	for (size_t i = 0; i < payload_count; i++)
		assert_int_equal(
		    vmt_packed_names_read(names, payloads[i].bytes, payloads[i].length), 0);
	return names;
}

static void
names_are_those_that_were_written(void **state)
{
	struct vmt_packed_names *names;
	struct vmt_module other = first;

	(void)state;
	write_small();
	assert_int_equal(payload_count, 1);
	names = read_all();
	check_small(names);
	other.build_id = (const unsigned char *)"ac";
	assert_null(vmt_packed_names_find(names, &other)); /* another build of it */
	vmt_packed_names_free(names);
	forget();
}

/* What a reader hands on is what a second packing writes. */
static void
names_that_were_read_are_written_again(void **state)
{
	struct vmt_names_writer *writer;
	struct vmt_names_visitor to;
	struct vmt_packed_names *names;
	struct payload before;

	(void)state;
	write_small();
	names = read_all();
	before = payloads[0];
	payload_count = 0;
	writer = vmt_names_writer_new(keep, NULL);
	to = vmt_names_writer_visitor(writer);
	assert_int_equal(vmt_packed_names_visit(vmt_packed_names_find(names, &first), &to), 0);
	assert_int_equal(vmt_packed_names_visit(vmt_packed_names_find(names, &second), &to), 0);
	assert_int_equal(to.end(to.context), 0);
	vmt_names_writer_free(writer);
	vmt_packed_names_free(names);
	names = read_all();
	check_small(names);
	vmt_packed_names_free(names);
	free(before.bytes);
	forget();
}

/* Never two alike. */
static const char *
name_of(uint32_t number)
{
	static char name[VMT_PACKED_NAMES_TEXT_BYTES];

	snprintf(name, sizeof(name), "function_%u_%0*u", number, 100, number);
	return name;
}

/* One module's names take several payloads, each of which decodes alone. */
static void
many_names_are_split(void **state)
{
	struct vmt_names_writer *writer = vmt_names_writer_new(keep, NULL);
	struct vmt_names_visitor to = vmt_names_writer_visitor(writer);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_packed_names *names;
	struct vmt_packed_module *module;
	char **texts = calloc(MANY, sizeof(*texts));

	(void)state;
	assert_int_equal(to.module(to.context, &first, true, NULL), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		struct vmt_symbol symbol = {.line = i};

		symbol.function = texts[i] = strdup(name_of(i));
		assert_int_equal(to.address(to.context, UINT64_C(7) * i, &symbol, 1), 0);
	}
	assert_int_equal(to.end(to.context), 0);
	vmt_names_writer_free(writer);
	assert_true(payload_count > 1);
	for (size_t i = 0; i < payload_count; i++)
		assert_true(payloads[i].length <= 4 * (size_t)VMT_NAMES_WRITER_PAYLOAD_BYTES);
	names = read_all();
	assert_int_equal(vmt_packed_names_addresses(names), MANY);
	module = vmt_packed_names_find(names, &first);
	for (uint32_t i = 0; i < MANY; i++) {
		assert_int_equal(vmt_packed_names_resolve(module, UINT64_C(7) * i, frames), 1);
		assert_string_equal(frames[0].function, texts[i]);
		assert_int_equal(frames[0].line, i);
		free(texts[i]);
	}
	free(texts);
	vmt_packed_names_free(names);
	forget();
}

/* Every cut and every changed byte: read, or refused, and nothing else. */
static void
hostile_payloads_do_no_harm(void **state)
{
	unsigned refused = 0;

	(void)state;
	write_small();
	for (size_t length = 0; length < payloads[0].length; length++) {
		unsigned char *cut = malloc(length + 1);
		struct vmt_packed_names *names = vmt_packed_names_new();

		memcpy(cut, payloads[0].bytes, length);
		refused += vmt_packed_names_read(names, cut, length) != 0;
		vmt_packed_names_free(names);
		free(cut);
	}
	assert_true(refused > payloads[0].length / 2);
	for (size_t at = 0; at < payloads[0].length; at++)
		for (unsigned value = 0; value < 256; value++) {
			unsigned char *changed = malloc(payloads[0].length);
			struct vmt_packed_names *names = vmt_packed_names_new();
			struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
			struct vmt_packed_module *module;

			memcpy(changed, payloads[0].bytes, payloads[0].length);
			changed[at] = (unsigned char)value;
			if (vmt_packed_names_read(names, changed, payloads[0].length) == 0) {
				module = vmt_packed_names_find(names, &first);
				assert_true(!module ||
					    vmt_packed_names_resolve(module, 0x1000, frames) <=
						VMT_SYMBOLS_MAX_INLINED);
			}
			vmt_packed_names_free(names);
			free(changed);
		}
	forget();
}

/* The example of docs/trace-format.md. */
static void
the_documented_bytes_are_read(void **state)
{
	static const unsigned char bytes[] = {
	    0x01, 0x01, 0x66,				    /* texts */
	    0x00, 0x02, 0x2f, 0x61, 0x01, 0x00,		    /* module */
	    0x01, 0x80, 0x20, 0x01, 0x01, 0x00, 0x07, 0x00, /* address */
	    0x00,
	};
	const struct vmt_module wanted = {.path = "/a", .path_bytes = 2};
	struct vmt_packed_names *names = vmt_packed_names_new();
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];

	(void)state;
	assert_int_equal(vmt_packed_names_read(names, bytes, sizeof(bytes)), 0);
	assert_int_equal(
	    vmt_packed_names_resolve(vmt_packed_names_find(names, &wanted), 0x1000, frames), 1);
	assert_string_equal(frames[0].function, "f");
	assert_int_equal(frames[0].line, 7);
	assert_null(frames[0].file);
	vmt_packed_names_free(names);
}

static void
more_than_any_program_has_is_refused(void **state)
{
	struct vmt_packed_names *names = vmt_packed_names_new();
	size_t length = VMT_PACKED_NAMES_MAX_BYTES + 1;

	(void)state;
	assert_int_equal(vmt_packed_names_read(names, (const unsigned char *)"", length), -E2BIG);
	vmt_packed_names_free(names);
}

/* Modules of the smallest kind, all different; the payload's bytes. */
static size_t
put_modules(unsigned char *bytes, unsigned count)
{
	unsigned char *put = bytes;

	*put++ = 0; /* texts */
	for (unsigned i = 0; i < count; i++) {
		const unsigned char module[] = {
		    0, 3, (unsigned char)i, (unsigned char)(i >> 8), (unsigned char)(i >> 16), 0, 0,
		    0, 0};

		memcpy(put, module, sizeof(module));
		put += sizeof(module);
	}
	return (size_t)(put - bytes);
}

static size_t
put_number(unsigned char *bytes, uint64_t number)
{
	return (size_t)(vmt_varint_put(bytes, number) - bytes);
}

/* One module with so many addresses of so many frames each. */
static size_t
put_addresses(unsigned char *bytes, unsigned count, unsigned frames)
{
	static const unsigned char module[] = {0, 0, 1, 'a', 0, 0};
	size_t used = sizeof(module);

	memcpy(bytes, module, used);
	used += put_number(bytes + used, count);
	for (unsigned i = 0; i < count; i++) {
		bytes[used++] = 1;
		bytes[used++] = (unsigned char)frames;
		memset(bytes + used, 0, 4 * (size_t)frames);
		used += 4 * (size_t)frames;
	}
	bytes[used++] = 0; /* members */
	return used;
}

static size_t
put_members(unsigned char *bytes, unsigned count)
{
	static const unsigned char start[] = {1, 1, 'v', 0, 1, 'a', 0, 0, 0};
	static const unsigned char member[] = {1, 1, 0, 0, 0};
	size_t used = sizeof(start);

	memcpy(bytes, start, used);
	used += put_number(bytes + used, count);
	for (unsigned i = 0; i < count; i++, used += sizeof(member))
		memcpy(bytes + used, member, sizeof(member));
	return used;
}

static size_t
put_texts(unsigned char *bytes, unsigned count)
{
	size_t used = put_number(bytes, count);

	memset(bytes + used, 0, count);
	return used + count;
}

static int
read_one(const unsigned char *bytes, size_t length)
{
	struct vmt_packed_names *names = vmt_packed_names_new();
	int result = vmt_packed_names_read(names, bytes, length);

	vmt_packed_names_free(names);
	return result;
}

/* Small items, of which a payload could have many millions. */
static void
items_are_bounded(void **state)
{
	unsigned char *bytes = malloc((size_t)32 << 20);
	const unsigned frames = VMT_SYMBOLS_MAX_INLINED;
	const unsigned full = VMT_PACKED_NAMES_MAX_FRAMES / frames;

	(void)state;
	assert_non_null(bytes);
	assert_int_equal(read_one(bytes, put_modules(bytes, VMT_PACKED_NAMES_MAX_MODULES)), 0);
	assert_int_equal(read_one(bytes, put_modules(bytes, VMT_PACKED_NAMES_MAX_MODULES + 1)),
			 -E2BIG);
	assert_int_equal(read_one(bytes, put_addresses(bytes, VMT_PACKED_NAMES_MAX_ADDRESSES, 0)),
			 0);
	assert_int_equal(
	    read_one(bytes, put_addresses(bytes, VMT_PACKED_NAMES_MAX_ADDRESSES + 1, 0)), -E2BIG);
	assert_int_equal(read_one(bytes, put_addresses(bytes, full, frames)), 0);
	assert_int_equal(read_one(bytes, put_addresses(bytes, full + 1, frames)), -E2BIG);
	assert_int_equal(read_one(bytes, put_members(bytes, VMT_PACKED_NAMES_MAX_MEMBERS)), 0);
	assert_int_equal(read_one(bytes, put_members(bytes, VMT_PACKED_NAMES_MAX_MEMBERS + 1)),
			 -E2BIG);
	assert_int_equal(read_one(bytes, put_texts(bytes, VMT_PACKED_NAMES_MAX_TEXTS)), 0);
	assert_int_equal(read_one(bytes, put_texts(bytes, VMT_PACKED_NAMES_MAX_TEXTS + 1)), -E2BIG);
	free(bytes);
}

/* What a reader would refuse is not written. */
static void
a_writer_keeps_to_the_same_bounds(void **state)
{
	struct vmt_names_writer *writer = vmt_names_writer_new(keep, NULL);
	struct vmt_names_visitor to = vmt_names_writer_visitor(writer);

	(void)state;
	assert_int_equal(to.module(to.context, &first, true, NULL), 0);
	for (unsigned i = 0; i < VMT_PACKED_NAMES_MAX_MEMBERS; i++)
		assert_int_equal(to.member(to.context, "v", "p", NULL), 0);
	assert_int_equal(to.member(to.context, "v", "p", NULL), -E2BIG);
	for (unsigned i = 0; i < VMT_PACKED_NAMES_MAX_ADDRESSES; i++)
		assert_int_equal(to.address(to.context, i, NULL, 0), 0);
	assert_int_equal(to.address(to.context, 0, NULL, 0), -E2BIG);
	vmt_names_writer_free(writer);
	writer = vmt_names_writer_new(keep, NULL);
	to = vmt_names_writer_visitor(writer);
	for (unsigned i = 0; i < VMT_PACKED_NAMES_MAX_MODULES; i++)
		assert_int_equal(to.module(to.context, &second, true, NULL), 0);
	assert_int_equal(to.module(to.context, &second, true, NULL), -E2BIG);
	vmt_names_writer_free(writer);
	forget();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_those_that_were_written),
	    cmocka_unit_test(names_that_were_read_are_written_again),
	    cmocka_unit_test(many_names_are_split),
	    cmocka_unit_test(hostile_payloads_do_no_harm),
	    cmocka_unit_test(the_documented_bytes_are_read),
	    cmocka_unit_test(more_than_any_program_has_is_refused),
	    cmocka_unit_test(items_are_bounded),
	    cmocka_unit_test(a_writer_keeps_to_the_same_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
