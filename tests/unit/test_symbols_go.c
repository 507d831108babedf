/* Programs of real Go toolchains: names and lines, stripped or not, against go tool nm, go tool
 * addr2line and each other. */
#include "tests/unit/go_build.h"

#include "tools/model/go/go_memstats.h"
#include "tools/read/elf/go_module.h"
#include "tools/read/symbols/symbols.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAX_SYMBOLS 20000u

struct known {
	uint64_t address;
	char name[256];
};

static struct known *known;
static size_t known_count;

static struct vmt_module
module_of(const char *path)
{
	return (struct vmt_module){.path = path, .path_bytes = (uint32_t)strlen(path)};
}

/* What the runtime writes instead of type arguments; and without the calling convention. */
static void
simplify(char *name)
{
	char *first = strchr(name, '[');
	char *last = first ? strrchr(first, ']') : NULL;
	char *abi = strstr(name, ".abi0");
	char text[256];

	if (abi)
		*abi = '\0';
	if (!last)
		return;
	snprintf(text, sizeof(text), "%.*s[...]%s", (int)(first - name), name, last + 1);
	strcpy(name, text);
}

/* Functions of package main, by go tool nm. */
static void
read_names(const char *toolchain, const char *program)
{
	char line[512];
	FILE *pipe;

	snprintf(line, sizeof(line), "GOTOOLCHAIN=local %s tool nm %s", toolchain, program);
	pipe = popen(line, "r");
	assert_non_null(pipe);
	known_count = 0;
	while (fgets(line, sizeof(line), pipe) && known_count < MAX_SYMBOLS) {
		struct known *entry = &known[known_count];
		char kind;

		if (sscanf(line, "%lx %c %255[^\n]", &entry->address, &kind, entry->name) != 3 ||
		    (kind != 'T' && kind != 't') || strncmp(entry->name, "main.", 5) != 0)
			continue;
		simplify(entry->name);
		known_count++;
	}
	pclose(pipe);
}

static uint64_t
address_of(const char *name)
{
	for (size_t i = 0; i < known_count; i++)
		if (strcmp(known[i].name, name) == 0)
			return known[i].address;
	fail_msg("go tool nm has no %s", name);
	return 0;
}

static void
names_are_those_of_nm(const char *program)
{
	static const char *const wanted[] = {"main.main",	 "main.outer",
					     "main.Sum[...]",	 "main.(*Box[...]).Put",
					     "main.Shape.Value", "main.(*Shape).Pointer"};
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_module module = module_of(program);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];

	for (size_t i = 0; i < known_count; i++) {
		size_t count = vmt_symbols_resolve(symbols, &module, known[i].address, frames);

		assert_true(count > 0);
		assert_string_equal(frames[count - 1].function, known[i].name);
		assert_true(frames[count - 1].is_go);
	}
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		address_of(wanted[i]);
	vmt_symbols_free(symbols);
}

/* Somewhere in outer lies the call of leaf in inner in middle. */
static void
inlined_calls_have_their_lines(const char *program)
{
	static const struct {
		const char *function;
		uint32_t line;
		bool inlined;
	} wanted[] = {{"main.inner", GO_INNER_LINE, true},
		      {"main.middle", GO_MIDDLE_LINE, true},
		      {"main.outer", GO_OUTER_LINE, false}};
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_module module = module_of(program);
	uint64_t start = address_of("main.outer");
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	bool found = false;

	for (uint64_t at = start; at < start + 256 && !found; at++) {
		size_t count = vmt_symbols_resolve(symbols, &module, at, frames);

		if (count != 3)
			continue;
		found = true;
		for (size_t i = 0; i < 3; i++) {
			assert_string_equal(frames[i].function, wanted[i].function);
			assert_int_equal(frames[i].line, wanted[i].line);
			assert_int_equal(frames[i].inlined, wanted[i].inlined);
			assert_non_null(strstr(frames[i].file, "/main.go"));
		}
	}
	assert_true(found);
	vmt_symbols_free(symbols);
}

/* All code of package main, byte for byte: stripping changes nothing. */
static void
both_say_the_same(const char *full, const char *stripped)
{
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_module modules[] = {module_of(full), module_of(stripped)};
	struct vmt_symbol frames[2][VMT_SYMBOLS_MAX_INLINED];

	for (size_t i = 0; i < known_count; i++)
		for (uint64_t at = known[i].address; at < known[i].address + 64; at++) {
			size_t count = vmt_symbols_resolve(symbols, &modules[0], at, frames[0]);

			/* Behind the last function lies C code, whose lines are gone. */
			if (count == 0 || !frames[0][0].is_go)
				break;
			assert_int_equal(vmt_symbols_resolve(symbols, &modules[1], at, frames[1]),
					 count);
			for (size_t j = 0; j < count; j++) {
				assert_string_equal(frames[0][j].function, frames[1][j].function);
				assert_int_equal(frames[0][j].line, frames[1][j].line);
			}
		}
	assert_null(vmt_symbols_trouble(symbols, &modules[0]));
	assert_non_null(strstr(vmt_symbols_trouble(symbols, &modules[1]), "Go code"));
	vmt_symbols_free(symbols);
}

/* Innermost lines against go tool addr2line, which reads the same table in its own way. */
static void
lines_are_those_of_addr2line(const char *toolchain, const char *program)
{
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_module module = module_of(program);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	char line[512];
	FILE *pipe;

	snprintf(line, sizeof(line), "%s/addresses", go_directory);
	pipe = fopen(line, "w");
	assert_non_null(pipe);
	for (size_t i = 0; i < known_count; i++)
		fprintf(pipe, "0x%lx\n", known[i].address);
	fclose(pipe);
	snprintf(line, sizeof(line), "GOTOOLCHAIN=local %s tool addr2line %s < %s/addresses",
		 toolchain, program, go_directory);
	pipe = popen(line, "r");
	assert_non_null(pipe);
	for (size_t i = 0; i < known_count; i++) {
		char expected[256];

		assert_non_null(fgets(line, sizeof(line), pipe));
		assert_non_null(fgets(line, sizeof(line), pipe));
		line[strcspn(line, "\n")] = '\0';
		assert_true(vmt_symbols_resolve(symbols, &module, known[i].address, frames) > 0);
		snprintf(expected, sizeof(expected), "%s:%u", frames[0].file, frames[0].line);
		assert_string_equal(line, expected);
	}
	pclose(pipe);
	vmt_symbols_free(symbols);
}

static void
counters_have_a_layout(const char *full, const char *stripped)
{
	struct vmt_lookup *symbols = vmt_lookup_new(NULL);
	struct vmt_module modules[] = {module_of(full), module_of(stripped)};
	struct vmt_symbol_place place;
	struct vmt_go_layout layout;

	vmt_go_memstats_lay_out(&layout, symbols, &modules[0]);
	assert_true(layout.usable);
	vmt_go_memstats_lay_out(&layout, symbols, &modules[1]);
	assert_false(layout.usable);
	assert_true(vmt_lookup_has_debug(symbols, &modules[0]));
	assert_false(vmt_lookup_has_debug(symbols, &modules[1]));
	assert_true(vmt_lookup_go_member(symbols, &modules[0], "runtime.memstats", "", &place));
	assert_true(place.bytes > 1024);
	assert_false(vmt_lookup_go_member(symbols, &modules[0], "runtime.memstats", "no", &place));
	assert_false(vmt_lookup_go_member(symbols, &modules[0], "runtime.memstats",
					  "heapStats.stats.x", &place));
	assert_false(vmt_lookup_go_member(symbols, &modules[0], "nothing", "", &place));
	vmt_lookup_free(symbols);
}

static void
every_toolchain_is_understood(void **state)
{
	(void)state;
	GO_NEEDED("names and lines of Go programs");
	for (size_t i = 0; i < go_toolchains.gl_pathc; i++) {
		const char *toolchain = go_toolchains.gl_pathv[i];
		const char *full = go_build(toolchain, "full", "", "");
		const char *stripped = go_build(toolchain, "stripped", "", "-ldflags '-s -w'");

		print_message("%s\n", toolchain);
		read_names(toolchain, full);
		assert_true(known_count > 8);
		names_are_those_of_nm(full);
		names_are_those_of_nm(stripped);
		inlined_calls_have_their_lines(full);
		inlined_calls_have_their_lines(stripped);
		both_say_the_same(full, stripped);
		lines_are_those_of_addr2line(toolchain, full);
		counters_have_a_layout(full, stripped);
	}
}

static unsigned char *
map_file(const char *path, size_t *length)
{
	int fd = open(path, O_RDONLY);
	unsigned char *bytes;
	struct stat status;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &status), 0);
	*length = (size_t)status.st_size;
	bytes = mmap(NULL, *length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	assert_true(bytes != MAP_FAILED);
	close(fd);
	return bytes;
}

/* Position-independent, linked by gcc, stripped; then without section headers, too. */
static void
a_table_without_its_section_is_found(void **state)
{
	(void)state;
	GO_NEEDED("Go programs without sections");
	/* The oldest and the newest: each builds a standard library of its own for this. */
	for (size_t i = 0; i < go_toolchains.gl_pathc;
	     i = i + 1 < go_toolchains.gl_pathc ? go_toolchains.gl_pathc - 1 : i + 1) {
		const char *path = go_build(go_toolchains.gl_pathv[i], "pie", "",
					    "-buildmode=pie -ldflags '-s -w -linkmode=external'");
		size_t length;
		unsigned char *bytes = map_file(path, &length);

		for (int round = 0; round < 2; round++) {
			struct vmt_go_module *module = vmt_go_module_open(bytes, length);
			struct vmt_gopclntab_function function;
			struct vmt_gopclntab_frame frame;
			uint64_t cursor = 0;

			assert_non_null(module);
			assert_true(module->has_inlined);
			assert_true(
			    vmt_gopclntab_named(&module->table, "main.outer", &cursor, &function));
			assert_int_equal(
			    vmt_gopclntab_find(&module->table, function.start, &frame, 1), 1);
			assert_string_equal(frame.function, "main.outer");
			assert_non_null(strstr(frame.file, "/main.go"));
			vmt_go_module_close(module);
			/* e_shoff, e_shnum, e_shstrndx */
			memset(bytes + 40, 0, 8);
			memset(bytes + 60, 0, 4);
		}
		munmap(bytes, length);
	}
}

/* Bytes turned round, and the end cut off: an answer or none, never a crash. */
static void
damaged_programs_do_no_harm(void **state)
{
	struct vmt_gopclntab_frame frames[16];
	uint32_t random = 1;
	unsigned char *bytes;
	unsigned char *copy;
	size_t length;

	(void)state;
	GO_NEEDED("damaged Go programs");
	bytes = map_file(go_build(go_toolchains.gl_pathv[0], "stripped", "", "-ldflags '-s -w'"),
			 &length);
	copy = malloc(length);
	assert_non_null(copy);
	for (unsigned round = 0; round < 60; round++) {
		size_t cut = round < 20 ? length * round / 20 : length;
		struct vmt_go_module *module;

		memcpy(copy, bytes, length);
		for (unsigned flips = 0; round >= 20 && flips < 40 * round; flips++) {
			random = random * 1664525u + 1013904223u;
			copy[(random ^ (random >> 15)) % length] ^= (unsigned char)(random >> 24);
		}
		module = vmt_go_module_open(copy, cut);
		for (uint64_t at = 0x400000; module && at < 0x500000; at += 509)
			assert_true(vmt_gopclntab_find(&module->table, at, frames, 16) <= 16);
		vmt_go_module_close(module);
	}
	free(copy);
	munmap(bytes, length);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_toolchain_is_understood),
	    cmocka_unit_test(a_table_without_its_section_is_found),
	    cmocka_unit_test(damaged_programs_do_no_harm),
	};

	known = calloc(MAX_SYMBOLS, sizeof(*known));
	return !known || cmocka_run_group_tests(tests, go_set_up, go_tear_down);
}
