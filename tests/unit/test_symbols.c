#include "tools/read/symbols/symbols.h"

#include "tools/read/elf/elf_symbols.h"
#include "tools/read/symbols/demangle.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Two places in this program's own code whose lines are known. */
extern const char vmt_test_inlined_place[];
extern const char vmt_test_plain_place[];

static int inlined_line;
static int call_line;
static int plain_line;

static inline __attribute__((always_inline)) void
inlined_function(void)
{
	/* clang-format off */
	inlined_line = __LINE__; __asm__ volatile(".globl vmt_test_inlined_place\nvmt_test_inlined_place: nop");
	/* clang-format on */
}

__attribute__((noinline)) static void
outer_function(void)
{
	/* clang-format off */
	call_line = __LINE__; inlined_function();
	/* clang-format on */
	__asm__ volatile("");
}

__attribute__((noinline)) static void
plain_function(void)
{
	/* clang-format off */
	plain_line = __LINE__; __asm__ volatile(".globl vmt_test_plain_place\nvmt_test_plain_place: nop");
	/* clang-format on */
}

static char own_path[4096];
static uint64_t own_bias;
static char directory[64];

static int
take_bias(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	own_bias = info->dlpi_addr;
	return 1;
}

static struct vmt_module
module_of(const char *path)
{
	return (struct vmt_module){.path = path, .path_bytes = (uint32_t)strlen(path)};
}

static uint64_t
file_address(const char *place)
{
	return (uint64_t)(uintptr_t)place - own_bias;
}

static void
lines_and_inlined_frames_of_our_own_code(void **state)
{
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_module module = module_of(own_path);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];

	(void)state;
	/* The second time out of the cache. */
	for (int round = 0; round < 2; round++) {
		assert_int_equal(vmt_symbols_resolve(symbols, &module,
						     file_address(vmt_test_inlined_place), frames),
				 2);
		assert_string_equal(frames[0].function, "inlined_function");
		assert_int_equal(frames[0].line, inlined_line);
		assert_true(frames[0].inlined);
		assert_string_equal(frames[1].function, "outer_function");
		assert_int_equal(frames[1].line, call_line);
		assert_false(frames[1].inlined);
		assert_non_null(strstr(frames[1].file, "test_symbols.c"));
		assert_int_equal(vmt_symbols_resolve(symbols, &module,
						     file_address(vmt_test_plain_place), frames),
				 1);
		assert_string_equal(frames[0].function, "plain_function");
		assert_int_equal(frames[0].line, plain_line);
	}
	assert_null(vmt_symbols_trouble(symbols, &module));
	vmt_symbols_free(symbols);
}

static void
addresses_outside_are_not_known(void **state)
{
	static const uint64_t outside[] = {0, 1, UINT64_MAX, UINT64_C(1) << 47};
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_module module = module_of(own_path);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];

	(void)state;
	for (size_t i = 0; i < sizeof(outside) / sizeof(*outside); i++)
		assert_int_equal(vmt_symbols_resolve(symbols, &module, outside[i], frames), 0);
	vmt_symbols_free(symbols);
}

static void
another_build_is_not_used(void **state)
{
	static const unsigned char other[20] = {0xde, 0xad};
	const char *why;
	struct vmt_elf_symbols *file = vmt_elf_symbols_open(own_path, &why);
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_module module = module_of(own_path);
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];

	(void)state;
	assert_non_null(file);
	module.build_id = other;
	module.build_id_bytes = sizeof(other);
	assert_int_equal(
	    vmt_symbols_resolve(symbols, &module, file_address(vmt_test_plain_place), frames), 0);
	assert_non_null(strstr(vmt_symbols_trouble(symbols, &module), "build-id"));
	module.build_id_bytes = (uint32_t)vmt_elf_symbols_build_id(file, &module.build_id);
	assert_int_equal(module.build_id_bytes, 20);
	assert_int_equal(
	    vmt_symbols_resolve(symbols, &module, file_address(vmt_test_plain_place), frames), 1);
	vmt_elf_symbols_close(file);
	/* The same path without one is another module. */
	module.build_id_bytes = 0;
	assert_int_equal(
	    vmt_symbols_resolve(symbols, &module, file_address(vmt_test_plain_place), frames), 1);
	vmt_symbols_free(symbols);
}

static void
what_is_no_program_is_told(void **state)
{
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	char fifo[128];
	char text[128];
	const struct {
		const char *path;
		const char *trouble;
	} cases[] = {
	    {"/nonexistent/file", "gone"},
	    {"/dev/null", "not a regular"},
	    {"/", "not a regular"},
	    {fifo, "not a regular"},
	    {text, "not an ELF"},
	    {"[vdso]", "gone"},
	    {"", "gone"},
	};

	(void)state;
	snprintf(fifo, sizeof(fifo), "%s/fifo", directory);
	snprintf(text, sizeof(text), "%s/text", directory);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	close(open(text, O_CREAT | O_WRONLY, 0600));
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct vmt_module module = module_of(cases[i].path);

		assert_int_equal(vmt_symbols_resolve(symbols, &module, 0x1000, frames), 0);
		assert_non_null(vmt_symbols_trouble(symbols, &module));
		assert_non_null(strstr(vmt_symbols_trouble(symbols, &module), cases[i].trouble));
	}
	vmt_symbols_free(symbols);
}

/* Runs one of the binutils; false where it is not there. */
static bool
run(const char *format, const char *a, const char *b)
{
	char command[16384];

	snprintf(command, sizeof(command), format, a, b, a, b);
	return system(command) == 0;
}

static void
stripped_programs_find_their_debug_file(void **state)
{
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module;
	char path[128];

	(void)state;
	if (!run("cp '%s' %s/prog", own_path, directory) ||
	    !run("command -v objcopy >/dev/null 2>&1%.0s%.0s", "", "")) {
		vmt_symbols_free(symbols);
		skip();
	}
	assert_true(run("cd %s && mkdir %s/.debug && objcopy --only-keep-debug prog "
			".debug/prog.dbg && objcopy --strip-all "
			"--add-gnu-debuglink=.debug/prog.dbg prog",
			directory, directory));
	snprintf(path, sizeof(path), "%s/prog", directory);
	module = module_of(path);
	assert_int_equal(
	    vmt_symbols_resolve(symbols, &module, file_address(vmt_test_inlined_place), frames), 2);
	assert_int_equal(frames[1].line, call_line);
	assert_null(vmt_symbols_trouble(symbols, &module));
	vmt_symbols_free(symbols);

	/* A debug file of another build: its checksum is not the one asked for. */
	assert_true(run("cd %s && printf x >> %s/.debug/prog.dbg", directory, directory));
	symbols = vmt_symbols_new();
	assert_int_equal(
	    vmt_symbols_resolve(symbols, &module, file_address(vmt_test_inlined_place), frames), 0);
	assert_non_null(strstr(vmt_symbols_trouble(symbols, &module), "stripped"));
	vmt_symbols_free(symbols);
}

static void
without_debug_information_functions_have_names(void **state)
{
	struct vmt_symbols *symbols = vmt_symbols_new();
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	struct vmt_module module;
	char path[128];

	(void)state;
	if (!run("objcopy --strip-debug '%s' %s/nodebug", own_path, directory)) {
		vmt_symbols_free(symbols);
		skip();
	}
	snprintf(path, sizeof(path), "%s/nodebug", directory);
	module = module_of(path);
	assert_int_equal(
	    vmt_symbols_resolve(symbols, &module, file_address(vmt_test_plain_place), frames), 1);
	assert_string_equal(frames[0].function, "plain_function");
	assert_int_equal(frames[0].line, 0);
	assert_null(frames[0].file);
	assert_non_null(strstr(vmt_symbols_trouble(symbols, &module), "no debug information"));
	vmt_symbols_free(symbols);
}

/* Cut at many places, and with bytes turned round: an answer or none, never a crash. */
static void
damaged_files_do_no_harm(void **state)
{
	struct vmt_symbol frames[VMT_SYMBOLS_MAX_INLINED];
	char path[128];
	FILE *file = fopen(own_path, "rb");
	unsigned char *bytes;
	size_t length;
	uint32_t random = 1;

	(void)state;
	assert_non_null(file);
	fseek(file, 0, SEEK_END);
	length = (size_t)ftell(file);
	rewind(file);
	bytes = malloc(length);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, length, file), length);
	fclose(file);
	snprintf(path, sizeof(path), "%s/damaged", directory);
	for (unsigned i = 0; i < 48; i++) {
		struct vmt_symbols *symbols = vmt_symbols_new();
		struct vmt_module module = module_of(path);
		size_t cut = i < 24 ? length * i / 24 : length;
		FILE *out = fopen(path, "wb");

		assert_non_null(out);
		for (unsigned flips = 0; i >= 24 && flips < 64; flips++) {
			random = random * 1664525u + 1013904223u;
			bytes[random % length] ^= (unsigned char)(random >> 24);
		}
		assert_int_equal(fwrite(bytes, 1, cut, out), cut);
		fclose(out);
		assert_true(vmt_symbols_resolve(symbols, &module,
						file_address(vmt_test_inlined_place),
						frames) <= VMT_SYMBOLS_MAX_INLINED);
		vmt_symbols_free(symbols);
	}
	free(bytes);
}

static void
names_are_demangled(void **state)
{
	static const struct {
		const char *mangled;
		const char *name;
	} cases[] = {
	    {"_ZN2ns4tmplIlEET_S1_", "ns::tmpl<long>"},
	    {"_ZN4core3ptr13drop_in_place17h0123456789abcdefE", "core::ptr::drop_in_place"},
	    {"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
	    {"_ZN5cache5Table6rehashEm", "cache::Table::rehash"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char *name = vmt_demangle_name(cases[i].mangled);

		assert_non_null(name);
		assert_string_equal(name, cases[i].name);
		free(name);
	}
	assert_null(vmt_demangle_name("main"));
	assert_null(vmt_demangle_name(""));
	assert_null(vmt_demangle_name("_start"));
	assert_null(vmt_demangle_name("_Z"));
}

static int
set_up(void **state)
{
	ssize_t length = readlink("/proc/self/exe", own_path, sizeof(own_path) - 1);

	(void)state;
	if (length < 0)
		return -1;
	own_path[length] = '\0';
	dl_iterate_phdr(take_bias, NULL);
	outer_function();
	plain_function();
	strcpy(directory, "/tmp/vmt-symbols-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	return run("rm -rf %s%.0s", directory, "") ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(lines_and_inlined_frames_of_our_own_code),
	    cmocka_unit_test(addresses_outside_are_not_known),
	    cmocka_unit_test(another_build_is_not_used),
	    cmocka_unit_test(what_is_no_program_is_told),
	    cmocka_unit_test(stripped_programs_find_their_debug_file),
	    cmocka_unit_test(without_debug_information_functions_have_names),
	    cmocka_unit_test(damaged_files_do_no_harm),
	    cmocka_unit_test(names_are_demangled),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
